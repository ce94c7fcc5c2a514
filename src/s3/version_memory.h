// SPDX-License-Identifier: Apache-2.0
//
// VersionMemory: under which id a store with versioning keeps a version that was read. A listing tells none and a
// reader knows an object by its ETag; but once the object is overwritten or deleted, what is open is to be had by its
// id alone.
//
// Not asked for by id from the start: that takes a permission of its own (s3:GetObjectVersion), which a reader of
// current objects need not have.
//
// Source: Amazon S3 User Guide, "Retrieving object versions from a versioning-enabled bucket".
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"

namespace s3overlay::s3 {

struct KeptVersion {
  std::string id;
  bool superseded = false;  // It is not the current one, as far as is known.
};

// Thread-safe. Holds the last `limit` versions of which it was told; of a store without versions, none.
class VersionMemory {
 public:
  explicit VersionMemory(size_t limit) : limit_(limit) {}

  // What the last answer said: the same bytes may have been put again, under another id.
  void Record(const ObjectId& object, KeptVersion version) S3OVERLAY_EXCLUDES(mu_);
  std::optional<KeptVersion> Find(const ObjectId& object) const S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Entry {
    std::string name;
    KeptVersion version;
  };
  using Entries = std::list<Entry>;

  const size_t limit_;

  mutable Mutex mu_;
  Entries entries_ S3OVERLAY_GUARDED_BY(mu_);  // Recorded longest ago first.
  std::unordered_map<std::string_view, Entries::iterator> by_name_ S3OVERLAY_GUARDED_BY(mu_);  // Of their names.
};

}  // namespace s3overlay::s3
