// SPDX-License-Identifier: Apache-2.0
#include "remote/pinned_object.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace s3overlay {
namespace {

// No part holds a NUL: none could come out of a URL, an XML document or a header.
std::string NameOf(const ObjectId& id) {
  std::string name;
  for (const std::string& part : {id.store, id.bucket, id.key, VersionOf(id)}) {
    name += part;
    name += '\0';
  }
  return name;
}

}  // namespace

std::string VersionOf(const ObjectId& object) {
  if (HasStrongEtag(object)) return fmt::format("{}-{}", object.etag, object.size);
  const auto modified = std::chrono::floor<std::chrono::seconds>(object.last_modified.time_since_epoch());
  return fmt::format("{}-{}-{}", object.etag, object.size, modified.count());
}

ObjectId CacheIdOf(const ObjectId& object) {
  ObjectId id = object;
  id.version_id.clear();
  id.last_modified = HasStrongEtag(object) ? WallTime{} : std::chrono::floor<std::chrono::seconds>(id.last_modified);
  return id;
}

PinnedObject::PinnedObject(ObjectId object_id, ObjectStore& object_store)
    : id(std::move(object_id)), cache_id(CacheIdOf(id)), store(object_store), name(NameOf(id)), hash(Hash64(name)) {}

}  // namespace s3overlay
