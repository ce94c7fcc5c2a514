// SPDX-License-Identifier: Apache-2.0
//
// MetadataDatabase: the tables of `metadata.sqlite`, one row a directory and one row a name in it. A name that was
// never listed has a row all the same; only a directory that was listed whole says so.
//
// WAL, so that a reading and a writing connection do not wait for each other (https://www.sqlite.org/wal.html). Each
// connection is used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "s3overlay/clock.h"
#include "s3overlay/object_catalog.h"
#include "s3overlay/result.h"

struct sqlite3;

namespace s3overlay {

// Times are nanoseconds since 1970, as a file outlives the steady clock.
struct KnownName {
  CatalogEntry entry;  // learned_at is not set.
  int64_t learned_ns = 0;
};

struct KnownDirectory {
  CatalogListing::Builder names;  // Sorted.
  int64_t listed_ns = 0;
};

// Where a name is kept.
struct MetadataKey {
  std::string_view scope;
  std::string_view path;
};

// Errors: kBadResponse, the file is damaged; kSystem, the disk failed or is full.
class MetadataDatabase {
 public:
  // Makes the file, 0600, where there is none.
  static Result<std::unique_ptr<MetadataDatabase>> Open(const std::string& path);
  ~MetadataDatabase();
  MetadataDatabase(const MetadataDatabase&) = delete;
  MetadataDatabase& operator=(const MetadataDatabase&) = delete;

  // False when someone removed or replaced the file.
  bool IsAlive() const;

  // All of `changes` or nothing.
  Result<void> InTransaction(const std::function<Result<void>()>& changes);

  Result<void> PutName(const MetadataKey& key, const KnownName& known);
  Result<void> PutListing(const MetadataKey& key, const CatalogListing& listing, int64_t listed_ns);

  // The name and everything below it.
  Result<void> Remove(const MetadataKey& key);

  // Drops the directories that were written longest ago until at most `max_names` names are left.
  Result<void> Prune(uint64_t max_names);

  std::optional<KnownName> FindName(const MetadataKey& key);

  // Nothing unless the directory was once listed whole.
  std::optional<KnownDirectory> FindListing(const MetadataKey& key);

 private:
  explicit MetadataDatabase(std::string path) : path_(std::move(path)) {}
  Result<void> Execute(const char* sql);
  Result<int64_t> DirectoryId(const MetadataKey& key, int64_t now_ns);
  std::optional<int64_t> ListedAt(const MetadataKey& key);
  Error Failure(const char* what);

  const std::string path_;
  sqlite3* database_ = nullptr;
  uint64_t inode_ = 0;
};

}  // namespace s3overlay
