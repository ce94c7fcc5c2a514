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

// Read a piece at a time, as a large one takes longer than others may be kept waiting.
struct KnownDirectory {
  CatalogListing::Builder names;  // Sorted.
  std::string last_name;          // Where the next piece goes on.
  int64_t listed_ns = 0;          // 0: never listed whole.
  bool is_whole = false;          // No piece is missing.
};

// Where a name is kept.
struct MetadataKey {
  std::string_view scope;
  std::string_view path;
};

// Errors: kBadResponse, the file is damaged; kSystem, the disk failed or is full.
class MetadataDatabase {
 public:
  // Makes the file, 0600, where there is none. One of another layout counts as damaged.
  static Result<std::unique_ptr<MetadataDatabase>> Open(const std::string& path);
  ~MetadataDatabase();
  MetadataDatabase(const MetadataDatabase&) = delete;
  MetadataDatabase& operator=(const MetadataDatabase&) = delete;

  // False when someone removed or replaced the file.
  bool IsAlive() const;

  // All of `changes` or nothing.
  Result<void> InTransaction(const std::function<Result<void>()>& changes);

  // What is known by a later answer stays, here and below, for answers may come late. `now_ns` tells a later one from
  // one of a clock that was wrong.
  Result<void> PutName(const MetadataKey& key, const KnownName& known, int64_t now_ns);
  Result<void> PutListing(const MetadataKey& key, const CatalogListing& listing, int64_t listed_ns, int64_t now_ns);

  // The name and everything below it. Where the name was known it stays known to be absent.
  Result<void> Remove(const MetadataKey& key, int64_t learned_ns, int64_t now_ns);

  // Drops the directories that were written longest ago until at most `max_names` names are left.
  Result<void> Prune(uint64_t max_names);

  // Nothing where a directory above it is known to have gone since.
  Result<std::optional<KnownName>> FindName(const MetadataKey& key, int64_t now_ns);

  // Adds at most `max_names` to those that were read before. Of a directory that was listed anew in between it begins
  // again.
  Result<void> ReadListing(const MetadataKey& key, int64_t now_ns, size_t max_names, KnownDirectory* known);

 private:
  explicit MetadataDatabase(std::string path) : path_(std::move(path)) {}
  Result<void> Execute(const char* sql);
  Result<void> CheckLayout();
  Result<int64_t> DirectoryId(const MetadataKey& key, int64_t now_ns);
  Result<bool> HasGoneSince(const MetadataKey& directory, int64_t learned_ns, int64_t now_ns);
  Result<int64_t> ListedAt(const MetadataKey& key);
  Result<bool> IsKnownLater(const MetadataKey& key, int64_t learned_ns, int64_t now_ns);
  Error Failure(const char* what);

  const std::string path_;
  sqlite3* database_ = nullptr;
  uint64_t inode_ = 0;
};

}  // namespace s3overlay
