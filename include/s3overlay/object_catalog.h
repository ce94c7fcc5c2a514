// SPDX-License-Identifier: Apache-2.0
//
// ObjectCatalog: which object is at which path. A key mapping over a bucket's listing is one (remote/key_catalog); a
// manifest is another. remote/object_source turns either into files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay {

// An object or a directory at a path.
struct CatalogEntry {
  std::string name;                      // Last component of the path; empty for the root.
  std::optional<ObjectMetadata> object;  // Nothing: a directory.
  TimePoint learned_at{};                // When the store said so; may be long ago in LastKnown.
  bool is_directory() const { return !object.has_value(); }
};

// The names of one directory and what they are, sorted by name and complete. Packed, about 100 bytes a name: what the
// names of a directory have in common is kept once, and an entry is made when it is asked for. Immutable.
class CatalogListing {
 public:
  class Builder;

  TimePoint learned_at() const { return learned_at_; }
  size_t size() const { return records_.size(); }
  std::string_view NameAt(size_t index) const { return NameOf(records_[index]); }  // Lives as long as the listing.
  bool IsDirectoryAt(size_t index) const { return (records_[index].flags & kDirectory) != 0; }
  bool IsArchivedAt(size_t index) const { return (records_[index].flags & kArchived) != 0; }
  uint64_t SizeAt(size_t index) const { return records_[index].size; }  // 0 for directories.
  CatalogEntry At(size_t index) const;
  std::optional<size_t> Find(std::string_view name) const;

  // Of memory, about.
  uint64_t bytes() const;

 private:
  static constexpr uint8_t kDirectory = 0x80;
  static constexpr uint8_t kArchived = 0x40;
  static constexpr uint8_t kStorageClass = 0x3f;  // Index into storage_classes_.

  struct Record {
    uint64_t text = 0;  // Where the name begins, and the ETag after it.
    uint64_t size = 0;
    int64_t last_modified_ns = 0;
    uint32_t odd = 0;  // One more than the index into odd_, of an object that does not fit the pattern.
    uint16_t name_size = 0;
    uint8_t etag_size = 0;
    uint8_t flags = 0;
  };

  std::string_view NameOf(const Record& record) const {
    return std::string_view(text_).substr(record.text, record.name_size);
  }
  ObjectMetadata ObjectOf(const Record& record) const;

  TimePoint learned_at_{};
  std::string store_;
  std::string bucket_;
  std::string key_prefix_;  // Before the name.
  std::vector<std::string> storage_classes_;
  std::vector<ObjectMetadata> odd_;
  std::string text_;
  std::vector<Record> records_;
};

// For one thread and one listing.
class CatalogListing::Builder {
 public:
  // In any order; a name may come as an object and as a directory, which is null.
  void Add(std::string_view name, const ObjectMetadata* object);

  // Sorts, and of equal names keeps a directory, else the first; answers how many were dropped.
  size_t SortAndHide();
  void EraseIf(const std::function<bool(std::string_view name)>& drop);
  size_t size() const { return listing_.size(); }
  uint64_t bytes() const { return listing_.bytes(); }

  // Once, sorted. `learned_at`: when the store was asked.
  std::shared_ptr<const CatalogListing> Build(TimePoint learned_at);

 private:
  bool Pack(const ObjectMetadata& object, std::string_view name, Record* record);
  std::optional<uint8_t> StorageClass(const std::string& name);

  CatalogListing listing_;
};

// Thread-safe. Paths are as in FileSource. Find and List answer kNotFound only with proof, an outage code when the
// store could not be asked, kWouldBlock when they would have to ask and context.may_block is false.
class ObjectCatalog {
 public:
  virtual ~ObjectCatalog() = default;

  virtual Result<CatalogEntry> Find(std::string_view path, const CallContext& context) = 0;
  virtual Result<std::shared_ptr<const CatalogListing>> List(std::string_view path, const CallContext& context) = 0;

  // How long the absence that Find has just answered may be believed from now on.
  virtual Duration AbsenceTtl(std::string_view) const { return Duration::zero(); }

  // However old, without asking the store. LastKnown fails with kUnavailable where what is known cannot be had now.
  virtual Result<std::optional<CatalogEntry>> LastKnown(std::string_view path) const = 0;
  virtual std::shared_ptr<const CatalogListing> LastKnownListing(std::string_view path) const = 0;

  // When the store last told what Find says of a path, absence included; nothing where it never did.
  virtual std::optional<TimePoint> LearnedAt(std::string_view) const { return std::nullopt; }

  // Told by a reader that the store no longer has this version: forget it, so that the next Find asks.
  virtual void Forget(std::string_view path) = 0;

  // "s3://bucket/key" of a path, for people.
  virtual std::string Describe(std::string_view path) const = 0;
};

}  // namespace s3overlay
