// SPDX-License-Identifier: Apache-2.0
//
// PinnedObject: one version of one object, the store that has it, and its name as a key of tables.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "s3overlay/hash.h"
#include "s3overlay/object_store.h"

namespace s3overlay {

// Equal strings mean the same bytes of one key. Holds what a listing and a HEAD both say: ETag and size, and where the
// ETag cannot pin the object, the second in which it was modified.
std::string VersionOf(const ObjectId& object);

// The same for every way in which the store may have told of this version, for the block cache: a HEAD gives a version
// ID and whole seconds, a listing no ID and milliseconds.
ObjectId CacheIdOf(const ObjectId& object);

struct PinnedObject {
  PinnedObject(ObjectId object_id, ObjectStore& object_store);

  const ObjectId id;        // For the store.
  const ObjectId cache_id;  // For the block cache.
  ObjectStore& store;
  const std::string name;  // Store, bucket, key and version.
  const uint64_t hash;     // Of the name.
};
using PinnedObjectPtr = std::shared_ptr<const PinnedObject>;

struct BlockKey {
  PinnedObjectPtr object;
  uint64_t index = 0;

  friend bool operator==(const BlockKey& a, const BlockKey& b) {
    return a.index == b.index && (a.object == b.object || a.object->name == b.object->name);
  }
};

struct BlockKeyHash {
  // 2^64 divided by the golden ratio spreads neighbours.
  size_t operator()(const BlockKey& key) const {
    return static_cast<size_t>(key.object->hash ^ (key.index * 0x9e3779b97f4a7c15));
  }
};

}  // namespace s3overlay
