// SPDX-License-Identifier: Apache-2.0
//
// BlockCache: blocks of object versions, kept near. cache/disk_block_cache keeps them on disk, tests in memory.
//
// A cache cannot fail a read: damage, I/O errors and a full disk are a miss, a metric and a log line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "s3overlay/file_source.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay {

// Numbers for `cache stats` and `status`. Counters are since the start of the process.
struct BlockCacheStats {
  std::string dir;
  int format = 0;
  uint64_t block_size = 0;
  uint64_t size_limit = 0;
  uint64_t min_free = 0;
  uint64_t bytes = 0;        // Allocated for data, files that are unlinked but still open included.
  uint64_t index_bytes = 0;  // Index and its write-ahead log.
  uint64_t objects = 0;
  uint64_t complete_objects = 0;
  uint64_t blocks = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t evictions = 0;
  uint64_t checksum_failures = 0;
  uint64_t dropped_writes = 0;
  bool clean_stop = true;  // The run before this one ended in order.
};

struct CacheVerifyReport {
  uint64_t objects = 0;
  uint64_t blocks = 0;
  uint64_t damaged_blocks = 0;  // Dropped from the cache: the next read fetches them again.
  uint64_t damaged_files = 0;
};

// Thread-safe. Block i of an object covers [i * block_size, ...), the last one may be short.
class BlockCache {
 public:
  virtual ~BlockCache() = default;

  virtual uint64_t block_size() const = 0;

  // Copies `out.size()` bytes from `offset_in_block` on out of block `index`, or says no. Bytes that are handed out
  // have been held to their checksum since the process started.
  [[nodiscard]] virtual bool Get(const ObjectId& object, uint64_t index, uint64_t offset_in_block,
                                 std::span<std::byte> out) = 0;

  // Whether Get would probably find the block; no I/O.
  virtual bool Contains(const ObjectId& object, uint64_t index) const = 0;

  // Keeps a whole block. May drop it (queue full, limit, disk error); returns at once, the write happens later.
  virtual void Put(const ObjectId& object, uint64_t index, SharedBytes block) = 0;

  virtual CacheShare GetShare(const ObjectId& object) const = 0;

  // The file behind an object that is wholly and durably cached; null otherwise. Once handed out, the file is never
  // punched, truncated or rewritten.
  virtual std::shared_ptr<BackingFile> OpenComplete(const ObjectId& object) = 0;

  // Drops what is not in use.
  virtual void Clear() = 0;

  // Reads everything, drops what does not match its checksum.
  virtual Result<CacheVerifyReport> Verify(const CallContext& context) = 0;

  virtual BlockCacheStats GetStats() const = 0;
};

}  // namespace s3overlay
