// SPDX-License-Identifier: Apache-2.0
//
// DiskBlockCache: the BlockCache on disk. One sparse data file an object version, so that a complete one can be read
// through the kernel; an index in SQLite, so that it survives restarts; a hard limit, kept before every write.
//
// What is believed: a block written in this run, once the write returned; a block of an earlier run, once it was held
// to its checksum in this one; a complete file, once it was held to the object's own checksum, synced, and the index
// says so; all of it only as long as nobody else changes the file, which its ctime tells. Bit rot under a complete file
// that the kernel reads by itself is found by Verify only.
//
// A disk that hangs: whoever reads waits for it a second, and then nobody does until it has answered. Writes wait on
// the writer's thread and are dropped meanwhile. Only a file that was handed to the kernel hangs with its disk.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/block_reader.h"
#include "cache/cache_storage.h"
#include "cache/cache_writer.h"
#include "cache/disk_waiter.h"
#include "cache/fault_log.h"
#include "cache/object_table.h"
#include "s3overlay/block_cache.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/mutex.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct DiskBlockCacheOptions {
  std::string dir;                             // Absolute; made if missing.
  uint64_t size_limit = 0;                     // Bytes, of data and index together.
  uint64_t min_free = 0;                       // Bytes of the file system that stay free.
  uint64_t block_size = 128 << 10;             // Bytes; a multiple of 4 KiB. Another one than before: start empty.
  std::string owner;                           // Told to a second process that wants `dir`: the mountpoint.
  uint64_t write_queue_bytes = 32 << 20;       // Blocks that wait to be written; more are dropped.
  size_t max_open_files = 256;                 // Descriptors kept open between reads.
  uint64_t max_objects = 1'000'000;            // About 500 bytes of memory each.
  uint64_t complete_from = uint64_t{1} << 20;  // Bytes. Smaller objects are only checked for completeness when
                                               // OpenComplete asks, as each check costs an fdatasync.
  // For a look at a cache that is there: kUnsupported or kSystem, and nothing removed, where another format or a
  // damaged index would mean to start with an empty one.
  bool must_fit = false;
};

// Thread-safe. Two threads of its own: the writer, and one that checks objects for completeness.
class DiskBlockCache final : public BlockCache {
 public:
  // kInvalidArgument: another process owns the directory, or the options make no sense. Other errors: the directory
  // cannot be made or written. Anything wrong with what lies in it means an empty cache and one warning,
  // but for must_fit.
  // `clock` and `metrics` outlive the cache.
  static Result<std::unique_ptr<DiskBlockCache>> Open(DiskBlockCacheOptions options, const Clock& clock,
                                                      Metrics& metrics);
  // Writes what is queued and marks the end as orderly.
  ~DiskBlockCache() override;

  // "pid 123, mountpoint /x" of the process that owns `dir`; nothing where nobody does.
  static std::optional<std::string> FindOwner(const std::string& dir);
  // Whether there is a cache at all.
  static bool Exists(const std::string& dir);
  // Bytes, of a cache that nobody owns: another one than this empties it. Nothing where its index cannot tell.
  static std::optional<uint64_t> FindBlockSize(const std::string& dir);

  uint64_t block_size() const override { return options_.block_size; }
  bool Get(const ObjectId& object, uint64_t index, uint64_t offset_in_block, std::span<std::byte> out) override;
  bool Contains(const ObjectId& object, uint64_t index) const override;
  void Put(const ObjectId& object, uint64_t index, SharedBytes block) override;
  // Complete: every block is there. An empty object always is.
  CacheShare GetShare(const ObjectId& object) const override;
  std::shared_ptr<BackingFile> OpenComplete(const ObjectId& object) override;
  void Clear() override;
  Result<CacheVerifyReport> Verify(const CallContext& context) override;
  BlockCacheStats GetStats() const override;

  // What waits for the disk: writes, reads, checks.
  std::vector<QueueLength> GetQueues() const;

  // Returns when all queued writes are on disk, checked where they made an object complete, and committed.
  void Flush();

 private:
  DiskBlockCache(DiskBlockCacheOptions options, const Clock& clock, Metrics& metrics);
  Result<void> Start();
  std::shared_ptr<BackingFile> LendAndOpen(const ObjectName& name);
  std::shared_ptr<BackingFile> OpenLent(const LentObject& lent);
  void CheckIfFull(const ObjectPtr& object);
  void CheckWhole(const ObjectPtr& object, uint64_t drops);
  template <typename Step>
  void EndCheckOnFailure(const ObjectPtr& object, uint64_t drops, const Step& step);
  Result<void> VerifyObject(const ObjectPtr& object, const CallContext& context, CacheVerifyReport& report);

  // Constant after construction.
  const DiskBlockCacheOptions options_;
  const Clock& clock_;

  // Own synchronisation.
  Metrics& metrics_;
  FaultLog faults_;
  ObjectTable table_;
  CacheStorage storage_;
  DiskWaiter waiter_;
  BlockReader reader_;
  std::atomic<bool> stopping_{false};
  // By the object's name. Marking a file changes it, which a second one must not take for a stranger's change.
  std::array<Mutex, 16> lending_;
  std::unique_ptr<CacheWriter> writer_;
  ThreadPool checker_;
};

}  // namespace s3overlay
