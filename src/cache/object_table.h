// SPDX-License-Identifier: Apache-2.0
//
// ObjectTable: what the cache holds, in memory: objects, their blocks, which unit is evicted next, who reads what. It
// does no I/O; its lock is held for a look-up at a time. Readers pin a block, read it with no lock held, and say how it
// went. All changes of files and index follow on the writer's thread (cache_storage).
//
// Memory: about 500 bytes an object and 16 a block; DiskBlockCacheOptions::max_objects bounds the first.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/block_map.h"
#include "cache/cache_index.h"
#include "cache/data_file.h"
#include "cache/eviction_policy.h"
#include "cache/object_name.h"
#include "s3overlay/block_cache.h"
#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

struct CachedObject {
  CachedObject(const ObjectRow& row, uint64_t block_size);

  // Constant after construction.
  const int64_t serial;
  const ObjectName name;
  const std::string extension;
  const FileIdentity identity;
  const std::optional<Md5Digest> md5;

  // Of the writer's thread alone: what the index says.
  bool complete_in_index;
  int64_t last_use_in_index_s;

  // Guarded by the mutex of the table.
  BlockMap blocks;
  uint64_t allocated;
  int64_t changed_ns;  // FileStatus::changed_ns after our own last change; another one means somebody else's.
  int64_t last_use_s;
  bool complete;          // See ObjectRow.
  bool lent;              // See ObjectRow: evicted whole, never changed in place.
  bool alive = true;      // In the table. A dead object is only held by those who still read it.
  bool checking = false;  // A check for completeness is under way.
  bool syncing = false;   // Until it is over nobody knows whether the bytes that were written are those read back.
  bool refused = false;   // Its bytes do not have the MD5 that its ETag looks like: never complete.
  uint64_t drops = 0;     // Blocks dropped so far: whoever looked at all of them can tell that one went.
  std::shared_ptr<DataFile> file;
  std::list<CachedObject*>::iterator open_position;  // Where `file` is set.
  std::weak_ptr<BackingFile> backing;
};
using ObjectPtr = std::shared_ptr<CachedObject>;

// A block that is held in place while it is read.
struct BlockPin {
  ObjectPtr object;
  uint64_t index = 0;
  ByteRange range;
  uint64_t checksum = 0;
  bool checked = false;
  int64_t changed_ns = 0;          // See CachedObject.
  std::shared_ptr<DataFile> file;  // Null: the reader opens it.
};

enum class ReadOutcome {
  kRead,
  kVerified,
  kDamaged,
  kFailed,
  kNotTried,  // An error that says nothing of the file.
};
enum class CheckVerdict { kComplete, kRefused, kFailed };

// What a look at all of an object found.
struct CheckResult {
  CheckVerdict verdict = CheckVerdict::kFailed;
  int64_t changed_ns = 0;  // Of the file, the same before and after.
};

// A file to hand out, and the change that is the last one known of it.
struct LentObject {
  ObjectPtr object;
  int64_t changed_ns = 0;
};

// What left the table by eviction: blocks [first, last) of an object, or all of it.
struct Victim {
  ObjectPtr object;
  bool whole = false;
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t blocks = 0;
};

// What readers changed and the writer has to carry out.
struct TableChanges {
  std::vector<ObjectPtr> doomed;                        // Out of the table; the file and the row follow.
  std::vector<ObjectPtr> rows;                          // Newly lent.
  std::vector<std::pair<ObjectPtr, uint64_t>> extents;  // Lost a block.
};

struct TableTotals {
  uint64_t objects = 0;
  uint64_t complete = 0;
  uint64_t blocks = 0;
  uint64_t allocated = 0;  // Bytes, dead objects included until their file is gone.
};

struct ObjectTableOptions {
  uint64_t block_size = 0;   // Bytes.
  uint64_t unit_blocks = 1;  // Blocks that are evicted together.
  size_t max_open_files = 256;
};

// Thread-safe.
class ObjectTable {
 public:
  ObjectTable(ObjectTableOptions options, const Clock& clock) : options_(options), clock_(clock) {}

  // For readers. Every pin is given back.
  std::optional<BlockPin> Pin(const ObjectName& name, uint64_t index) S3OVERLAY_EXCLUDES(mu_);
  std::optional<BlockPin> PinForCheck(const ObjectPtr& object, uint64_t index) S3OVERLAY_EXCLUDES(mu_);
  // Whether what was read counts: not where the object is gone, or its last writes may be lost.
  bool Unpin(const BlockPin& pin, ReadOutcome outcome) S3OVERLAY_EXCLUDES(mu_);
  void KeepOpen(const ObjectPtr& object, std::shared_ptr<DataFile> file) S3OVERLAY_EXCLUDES(mu_);
  bool Has(const ObjectName& name, uint64_t index) const S3OVERLAY_EXCLUDES(mu_);
  CacheShare GetShare(const ObjectName& name) const S3OVERLAY_EXCLUDES(mu_);
  bool IsComplete(const ObjectPtr& object) const S3OVERLAY_EXCLUDES(mu_);
  TableTotals GetTotals() const S3OVERLAY_EXCLUDES(mu_);
  std::vector<ObjectPtr> ListObjects() const S3OVERLAY_EXCLUDES(mu_);
  std::vector<uint64_t> ListBlocks(const ObjectPtr& object) const S3OVERLAY_EXCLUDES(mu_);

  // Takes an object out, because its file is not what it should be. The writer removes what is left of it.
  void Doom(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);
  // Only where no block of it is there: nothing would ever evict it.
  void DoomIfEmpty(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);

  // Somebody else has changed the file, as of `changed_ns`: it is complete no longer, and every block has to be held to
  // its checksum again.
  void Doubt(const ObjectPtr& object, int64_t changed_ns) S3OVERLAY_EXCLUDES(mu_);
  void SetSyncing(const ObjectPtr& object, bool syncing) S3OVERLAY_EXCLUDES(mu_);

  // The object is about to be handed out: from here on it is never changed in place. Nothing where it is not complete.
  std::optional<LentObject> Lend(const ObjectName& name) S3OVERLAY_EXCLUDES(mu_);
  // The one to keep: another caller may have been faster. `changed_ns` is that of the note that it was lent.
  std::shared_ptr<BackingFile> KeepLent(const ObjectPtr& object, std::shared_ptr<BackingFile> backing,
                                        int64_t changed_ns) S3OVERLAY_EXCLUDES(mu_);

  // Whether a check for completeness is worth its while and not under way; it is under way from here on. Returns the
  // number of the object's drops at this moment.
  std::optional<uint64_t> BeginCheck(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);
  // True where the object is complete from here on: never with a block dropped since the check began.
  bool EndCheck(const ObjectPtr& object, const CheckResult& result, uint64_t drops) S3OVERLAY_EXCLUDES(mu_);

  // For the writer.
  ObjectPtr Find(const ObjectName& name) const S3OVERLAY_EXCLUDES(mu_);
  void Insert(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);
  std::shared_ptr<DataFile> GetFile(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);
  bool MayWrite(const ObjectPtr& object, uint64_t index) const S3OVERLAY_EXCLUDES(mu_);
  void AddBlock(const ObjectPtr& object, uint64_t index, uint64_t checksum) S3OVERLAY_EXCLUDES(mu_);
  void SetStatus(const ObjectPtr& object, const FileStatus& status) S3OVERLAY_EXCLUDES(mu_);
  int64_t ChangeOf(const ObjectPtr& object) const S3OVERLAY_EXCLUDES(mu_);
  void SetGone(const ObjectPtr& object) S3OVERLAY_EXCLUDES(mu_);  // The file takes no space any more.
  std::vector<Victim> TakeVictims(uint64_t bytes) S3OVERLAY_EXCLUDES(mu_);
  void DoomAll() S3OVERLAY_EXCLUDES(mu_);
  TableChanges TakeChanges() S3OVERLAY_EXCLUDES(mu_);
  ObjectRow RowOf(const ObjectPtr& object) const S3OVERLAY_EXCLUDES(mu_);
  std::vector<std::byte> EncodeExtent(const ObjectPtr& object, uint64_t extent) const S3OVERLAY_EXCLUDES(mu_);

 private:
  using OpenList = std::list<CachedObject*>;

  ObjectPtr FindLocked(const ObjectName& name) const S3OVERLAY_REQUIRES(mu_);
  std::optional<BlockPin> PinLocked(const ObjectPtr& object, uint64_t index) S3OVERLAY_REQUIRES(mu_);
  void DropDamaged(const BlockPin& pin) S3OVERLAY_REQUIRES(mu_);
  void DropBlock(CachedObject& object, uint64_t index) S3OVERLAY_REQUIRES(mu_);
  void DoomLocked(const ObjectPtr& object) S3OVERLAY_REQUIRES(mu_);
  void TakeOut(const ObjectPtr& object) S3OVERLAY_REQUIRES(mu_);
  void CloseFile(CachedObject& object) S3OVERLAY_REQUIRES(mu_);
  void SetComplete(CachedObject& object, bool complete) S3OVERLAY_REQUIRES(mu_);
  void SetAllocated(CachedObject& object, uint64_t told) S3OVERLAY_REQUIRES(mu_);
  void SetChange(CachedObject& object, int64_t changed_ns) S3OVERLAY_REQUIRES(mu_);
  void ResizeUnit(const CachedObject& object, uint64_t unit) S3OVERLAY_REQUIRES(mu_);
  void RemoveUnits(const CachedObject& object) S3OVERLAY_REQUIRES(mu_);
  bool MayEvict(const UnitKey& key) const S3OVERLAY_REQUIRES(mu_);
  Victim Evict(const UnitKey& key) S3OVERLAY_REQUIRES(mu_);
  UnitKey KeyOf(const CachedObject& object, uint64_t index) const;
  int64_t NowSeconds() const;

  // Constant after construction.
  const ObjectTableOptions options_;
  const Clock& clock_;

  mutable Mutex mu_;
  std::unordered_map<ObjectName, ObjectPtr, ObjectNameHash> objects_ S3OVERLAY_GUARDED_BY(mu_);
  EvictionPolicy policy_ S3OVERLAY_GUARDED_BY(mu_);
  OpenList open_ S3OVERLAY_GUARDED_BY(mu_);  // Most recently used first.
  // Descriptors on their way out: closed with no lock held.
  std::vector<std::shared_ptr<DataFile>> closing_ S3OVERLAY_GUARDED_BY(mu_);
  TableChanges changes_ S3OVERLAY_GUARDED_BY(mu_);
  TableTotals totals_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
