// SPDX-License-Identifier: Apache-2.0
//
// CacheIndex: what the cache knows across restarts, in SQLite. One row an object, one row an extent of 8 MiB with the
// bitmap and checksums of its blocks. Changes gather in one transaction until Commit; a crash loses what was not
// committed, which a cache can afford.
//
// WAL and synchronous=NORMAL: a commit survives the process, not a loss of power; Checkpoint survives both
// (https://www.sqlite.org/pragma.html#pragma_synchronous). Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/data_file.h"
#include "cache/object_name.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

struct sqlite3;

namespace s3overlay {

struct ObjectRow {
  int64_t serial = 0;  // Never used again.
  ObjectName name;
  std::string extension;
  std::string etag;
  FileIdentity file;
  uint64_t allocated = 0;  // Bytes on the medium.
  bool complete = false;   // Every block on the medium, and held to the object's own checksum.
  int64_t changed_ns = 0;  // FileStatus::changed_ns when that was found; another one means somebody else's change.
  bool lent = false;       // The file was handed out: never change it in place.
  int64_t last_use_s = 0;  // Seconds since 1970.
};

struct ExtentRow {
  int64_t serial = 0;
  uint64_t extent = 0;
  std::span<const std::byte> blob;  // Valid during the call that it is handed to.
};

// Errors: kBadResponse, the index is damaged (start anew); kSystem, the disk failed or is full (the transaction is
// gone).
class CacheIndex {
 public:
  // Makes the file where there is none; kBadResponse too where it was made for another block size.
  static Result<std::unique_ptr<CacheIndex>> Open(const std::string& path, uint64_t block_size, uint64_t wal_limit);

  // The block size of an index that nobody has open; nothing where it is none.
  static std::optional<uint64_t> FindBlockSize(const std::string& path);
  ~CacheIndex();
  CacheIndex(const CacheIndex&) = delete;
  CacheIndex& operator=(const CacheIndex&) = delete;

  // The run before this one ended in order (or there was none).
  bool was_clean() const { return was_clean_; }

  // Every row, objects by their last use, oldest first; then every extent of an object that is there.
  Result<void> Load(const std::function<void(const ObjectRow&)>& on_object,
                    const std::function<void(const ExtentRow&)>& on_extent);

  // `id` is kept for people who look into the index.
  Result<void> InsertObject(const ObjectRow& row, const ObjectId& id);
  Result<void> UpdateObject(const ObjectRow& row);  // allocated, complete, changed_ns, lent, last_use_s.
  Result<void> DeleteObject(int64_t serial);
  Result<void> PutExtent(const ExtentRow& row);  // An empty blob deletes.
  Result<void> DeleteAll();

  Result<void> Commit();

  // Where the log has grown beyond its limit. What was committed is safe also where this fails.
  Result<void> CheckpointIfLarge();

  // Commits, marks the end of this run as orderly and puts everything on the medium.
  Result<void> FinishCleanly();

  // False when someone removed or replaced the file.
  bool IsAlive() const;

 private:
  CacheIndex(std::string path, uint64_t wal_limit) : path_(std::move(path)), wal_limit_(wal_limit) {}
  Result<void> OpenDatabase();
  Result<void> CheckSchema();
  Result<void> CheckIntegrity();
  Result<void> CheckBlockSize(uint64_t block_size);
  Result<void> MarkRunning();
  Result<void> Begin();
  Result<void> Execute(const char* sql);
  Result<int64_t> QueryNumber(const char* sql);
  Error Failure(const char* what);

  const std::string path_;
  const uint64_t wal_limit_;
  sqlite3* database_ = nullptr;
  uint64_t inode_ = 0;
  bool was_clean_ = true;
  bool in_transaction_ = false;
};

}  // namespace s3overlay
