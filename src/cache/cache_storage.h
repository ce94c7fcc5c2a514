// SPDX-License-Identifier: Apache-2.0
//
// CacheStorage: everything that changes a cache on disk: it writes blocks, evicts, commits the index, removes what
// readers found damaged, and starts anew where the directory went away. Runs on the writer's thread alone, so that no
// two changes ever meet; what readers see of it is the ObjectTable.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache_directory.h"
#include "cache/cache_index.h"
#include "cache/dying_files.h"
#include "cache/fault_log.h"
#include "cache/object_table.h"
#include "cache/space_guard.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay {

struct CacheStorageOptions {
  std::string dir;
  std::string owner;
  SpaceLimits limits;
  uint64_t block_size = 0;   // Bytes.
  uint64_t max_objects = 0;  // Data files, and so inodes and memory.
  bool must_fit = false;     // See DiskBlockCacheOptions.
};

// One block on its way to the disk.
struct BlockWrite {
  ObjectId object;
  uint64_t index = 0;
  SharedBytes block;
};

// Of one thread after Start, but for the getters of statistics.
class CacheStorage {
 public:
  // What is called, on the writer's thread, when an object's last block was written.
  using OnFull = std::function<void(const ObjectPtr&)>;

  CacheStorage(CacheStorageOptions options, ObjectTable& table, const Clock& clock, Metrics& metrics, FaultLog& faults);

  // Takes the directory and fills the table. Fails only where the directory cannot be had; with a disk that is full or
  // broken there is no cache until it has recovered.
  Result<void> Start();
  void set_on_full(OnFull on_full) { on_full_ = std::move(on_full); }

  void Write(const BlockWrite& write);

  // Every block of `object` was held to its checksum, and is on the medium: makes that durable.
  void FinishCheck(const ObjectPtr& object, CheckResult result, uint64_t drops);

  void Flush();                 // Commits now.
  void CommitIfDue();           // Commits what has waited for long enough.
  Duration TimeToTick() const;  // How long nothing has to happen while nothing is written.

  // Now and then: is the directory still there, is there room for others, can a dying file go.
  void Tick();

  // Drops everything; what is lent goes as soon as nobody has it.
  void Clear();

  // The last call: commits, and marks the end as orderly.
  void Finish();

  std::string PathOf(const CachedObject& object) const;

  // From any thread.
  uint64_t index_bytes() const { return index_bytes_.load(std::memory_order_relaxed); }
  uint64_t dying_bytes() const { return dying_.bytes(); }
  bool was_clean() const { return was_clean_.load(std::memory_order_relaxed); }

 private:
  using FoundFiles = std::unordered_map<ObjectName, CacheDirectory::FoundFile, ObjectNameHash>;
  struct Dirty {
    ObjectPtr object;
    std::set<uint64_t> extents;
  };

  // In cache_storage_start.cc: from a directory to a table.
  Result<void> CheckFits() const;
  Result<void> OpenContent();
  Result<void> Load();
  ObjectPtr Adopt(const ObjectRow& row, FoundFiles& found);
  bool IsSound(CachedObject& object);
  bool TidyAfterCrash(CachedObject& object);
  bool PunchGaps(const CachedObject& object, DataFile& file) const;
  void Reject(const ObjectPtr& object);
  bool EnsureAlive();
  bool IsDueToLook(bool creates) const;
  void Forget();

  bool Commit();
  bool SaveDirty();
  Result<void> SaveRow(const ObjectRow& row, const Dirty& dirty);
  bool WriteNow(const BlockWrite& write);
  ObjectPtr FindOrCreate(const ObjectId& id);
  std::shared_ptr<DataFile> OpenToChange(const ObjectPtr& object);
  std::shared_ptr<DataFile> OpenFile(const ObjectPtr& object);
  bool MakeRoom(uint64_t bytes, uint64_t new_objects);
  bool EvictSome(uint64_t bytes);
  void Punch(const Victim& victim);
  bool Uncomplete(const std::vector<Victim>& victims);
  void Remove(const ObjectPtr& object);
  void RemoveFile(const CachedObject& object, const ObjectRow& row);
  void CarryOutChanges();
  void MarkDirty(const ObjectPtr& object);
  void SaveLastUses();
  bool SaveComplete(const ObjectPtr& object, int64_t changed_ns);
  void NoteIndexFault(const Result<void>& result);
  void Measure(const ObjectPtr& object, const DataFile& file);
  uint64_t UsedBytes() const;

  // Constant after construction.
  const CacheStorageOptions options_;
  const Clock& clock_;

  // Own synchronisation.
  ObjectTable& table_;
  Metrics& metrics_;
  FaultLog& faults_;
  std::atomic<uint64_t> index_bytes_{0};
  std::atomic<bool> was_clean_{true};

  // Of the writer's thread.
  SpaceGuard guard_;
  std::unique_ptr<CacheDirectory> directory_;
  std::unique_ptr<CacheIndex> index_;
  OnFull on_full_ = [](const ObjectPtr&) {};
  DyingFiles dying_;
  std::map<int64_t, Dirty> dirty_;
  int64_t next_serial_ = 1;
  uint64_t written_since_commit_ = 0;  // Bytes.
  TimePoint last_commit_{};
  TimePoint last_look_{};   // At whether the directory is still there.
  TimePoint next_start_{};  // Where the last one failed.
  bool index_damaged_ = false;
};

}  // namespace s3overlay
