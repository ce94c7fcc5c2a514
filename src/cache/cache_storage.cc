// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_storage.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "s3overlay/hash.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr uint64_t kCommitBytes = uint64_t{64} << 20;
constexpr Duration kCommitInterval = std::chrono::milliseconds(500);
constexpr Duration kLookInterval = std::chrono::milliseconds(50);
constexpr Duration kTick = std::chrono::seconds(1);
// Metadata blocks that a new file or a new extent of one may take beside its bytes.
constexpr uint64_t kWriteOverhead = 8192;
constexpr uint64_t kEvictBytes = uint64_t{8} << 20;
constexpr int64_t kLastUseSteps = 60;  // Seconds by which the index may lag behind.

// One hole for neighbouring blocks, and none in a file that goes whole.
std::vector<Victim> MergeNeighbours(std::vector<Victim> victims) {
  const auto order = [](const Victim& victim) {
    return std::tuple(victim.object->serial, !victim.whole, victim.first);
  };
  std::sort(victims.begin(), victims.end(), [&](const Victim& a, const Victim& b) { return order(a) < order(b); });
  std::vector<Victim> merged;
  for (Victim& victim : victims) {
    const bool same_object = !merged.empty() && merged.back().object == victim.object;
    if (same_object && (merged.back().whole || merged.back().last == victim.first)) {
      merged.back().last = std::max(merged.back().last, victim.last);
      merged.back().blocks += victim.blocks;
    } else {
      merged.push_back(std::move(victim));
    }
  }
  return merged;
}

}  // namespace

CacheStorage::CacheStorage(CacheStorageOptions options, ObjectTable& table, const Clock& clock, Metrics& metrics,
                           FaultLog& faults)
    : options_(std::move(options)),
      clock_(clock),
      table_(table),
      metrics_(metrics),
      faults_(faults),
      guard_([dir = options_.dir] { return AskFileSystem(dir); }, options_.limits, clock) {}

void CacheStorage::Write(const BlockWrite& write) {
  if (WriteNow(write)) {
    metrics_.Add(Metric::kCacheWrites);
  } else {
    metrics_.Add(Metric::kCacheDroppedWrites);
  }
}

bool CacheStorage::WriteNow(const BlockWrite& write) {
  const uint64_t needed = RoundUpToPage(write.block.size()) + kWriteOverhead;
  const bool creates = table_.Find(NameOf(write.object)) == nullptr;
  if (!guard_.CanEverHold(needed) || (IsDueToLook(creates) && !EnsureAlive())) return false;
  if (!MakeRoom(needed, creates ? 1 : 0)) return false;
  const ObjectPtr object = FindOrCreate(write.object);
  if (object == nullptr || !table_.MayWrite(object, write.index)) return false;
  const std::shared_ptr<DataFile> file = OpenToChange(object);
  if (file == nullptr) return false;
  auto written = file->Write(object->blocks.RangeOf(write.index).offset, write.block.bytes);
  Measure(object, *file);
  if (!written) {
    faults_.Note(written.error());
    table_.DoomIfEmpty(object);
    return false;
  }
  table_.AddBlock(object, write.index, Hash64(write.block.bytes));
  dirty_[object->serial].object = object;
  dirty_[object->serial].extents.insert(object->blocks.ExtentOf(write.index));
  written_since_commit_ += write.block.size();
  on_full_(object);
  return true;
}

// Looking at three paths for every block costs as much as writing it.
bool CacheStorage::IsDueToLook(bool creates) const {
  return creates || index_ == nullptr || index_damaged_ || clock_.Now() - last_look_ >= kLookInterval;
}

ObjectPtr CacheStorage::FindOrCreate(const ObjectId& id) {
  const ObjectName name = NameOf(id);
  if (ObjectPtr object = table_.Find(name)) return object;
  // One of the same name may have just been doomed: its file has to leave the path first.
  CarryOutChanges();
  const std::string extension = ExtensionOf(id.key);
  auto made = directory_->MakeParent(name);
  auto file = made ? DataFile::Create(DataPath(options_.dir, name, extension), id.size) : made.error();
  const auto status = file ? (*file)->GetStatus() : file.error();
  if (!status) {
    faults_.Note(status.error());
    return nullptr;
  }
  const ObjectRow row{.serial = next_serial_++,
                      .name = name,
                      .extension = extension,
                      .etag = id.etag,
                      .file = (*file)->identity(),
                      .allocated = status->allocated,
                      .changed_ns = status->changed_ns};
  NoteIndexFault(index_->InsertObject(row, id));
  auto object = std::make_shared<CachedObject>(row, options_.block_size);
  table_.Insert(object);
  table_.KeepOpen(object, std::move(*file));
  return object;
}

// Null where the file must not be changed in place: an older index may know nothing of a loan. What somebody else has
// changed since our own last change is no longer believed, before our next one hides it.
std::shared_ptr<DataFile> CacheStorage::OpenToChange(const ObjectPtr& object) {
  std::shared_ptr<DataFile> file = OpenFile(object);
  if (file == nullptr) return nullptr;
  const auto status = file->GetStatus();
  if (!status || file->was_lent_when_opened()) {
    table_.Doom(object);
    return nullptr;
  }
  if (status->changed_ns != table_.ChangeOf(object)) table_.Doubt(object, status->changed_ns);
  return file;
}

std::shared_ptr<DataFile> CacheStorage::OpenFile(const ObjectPtr& object) {
  if (auto file = table_.GetFile(object); file != nullptr && file->is_writable()) return file;
  auto opened = DataFile::Open(PathOf(*object), object->identity, FileUse::kChange);
  if (!opened) {
    faults_.Note(opened.error());
    if (!SaysNothingOfTheFile(opened.error())) table_.Doom(object);
    return nullptr;
  }
  std::shared_ptr<DataFile> file = std::move(*opened);
  table_.KeepOpen(object, file);
  return file;
}

void CacheStorage::FinishCheck(const ObjectPtr& object, CheckResult result, uint64_t drops) {
  if (!EnsureAlive()) return;
  if (result.verdict == CheckVerdict::kComplete) {
    if (!Commit() || !SaveComplete(object, result.changed_ns)) result.verdict = CheckVerdict::kFailed;
  }
  // Where a block was dropped in the meantime the row is taken back.
  if (!table_.EndCheck(object, result, drops) && object->complete_in_index) MarkDirty(object);
}

// First the index, then the table: nobody is lent a file that the index does not know to be whole.
bool CacheStorage::SaveComplete(const ObjectPtr& object, int64_t changed_ns) {
  ObjectRow row = table_.RowOf(object);
  row.complete = true;
  row.changed_ns = changed_ns;
  auto saved = index_->UpdateObject(row);
  if (saved) saved = index_->Commit();
  if (!saved && saved.error().code == ErrorCode::kNotFound) {
    table_.Doom(object);  // As in SaveDirty; or it was evicted meanwhile.
    return false;
  }
  NoteIndexFault(saved);
  if (saved) object->complete_in_index = true;
  return saved.has_value();
}

bool CacheStorage::MakeRoom(uint64_t bytes, uint64_t new_objects) {
  while (true) {
    const bool too_many = table_.GetTotals().objects + new_objects > options_.max_objects;
    const uint64_t needed = std::max<uint64_t>(guard_.BytesToFree(UsedBytes(), bytes), too_many ? 1 : 0);
    if (needed == 0) return true;
    const uint64_t used = UsedBytes();
    if (!EvictSome(needed)) return false;
    guard_.NoteFreed(used - std::min(used, UsedBytes()));
  }
}

// On a disk that became read-only nothing gives its space back: all that can still be read would go for nothing.
bool CacheStorage::EvictSome(uint64_t bytes) {
  if (guard_.IsReadOnly()) return false;
  // More than is needed at once, as neighbours that go together cost one call.
  const uint64_t batch = std::min(options_.limits.size_limit / 32, kEvictBytes);
  const std::vector<Victim> victims = table_.TakeVictims(std::max(bytes, batch));
  const bool punchable = Uncomplete(victims);
  for (const Victim& victim : MergeNeighbours(victims)) {
    metrics_.Add(Metric::kCacheEvictions, victim.blocks);
    if (victim.whole) {
      Remove(victim.object);
    } else if (punchable) {
      Punch(victim);
    } else {
      table_.Doom(victim.object);
    }
  }
  CarryOutChanges();
  return !victims.empty();
}

// A file that the index calls complete is trusted after a restart: that has to be taken back before a hole appears.
bool CacheStorage::Uncomplete(const std::vector<Victim>& victims) {
  bool any = false;
  for (const Victim& victim : victims) {
    if (victim.whole || !victim.object->complete_in_index) continue;
    MarkDirty(victim.object);
    any = true;
  }
  if (any) (void)Commit();
  return std::none_of(victims.begin(), victims.end(),
                      [](const Victim& victim) { return !victim.whole && victim.object->complete_in_index; });
}

void CacheStorage::Punch(const Victim& victim) {
  const ObjectPtr& object = victim.object;
  const std::shared_ptr<DataFile> file = OpenToChange(object);
  if (file == nullptr) return;
  const uint64_t begin = victim.first * options_.block_size;
  if (auto punched = file->Punch({begin, (victim.last - victim.first) * options_.block_size}); !punched) {
    // Not every file system can: then the whole file gives its space back.
    return table_.Doom(object);
  }
  Measure(object, *file);
  Dirty& dirty = dirty_[object->serial];
  dirty.object = object;
  for (uint64_t index = victim.first; index < victim.last; ++index) {
    dirty.extents.insert(object->blocks.ExtentOf(index));
  }
}

// The object is out of the table. A lent file is moved away and unlinked when nobody has it any more.
void CacheStorage::Remove(const ObjectPtr& object) {
  dirty_.erase(object->serial);
  NoteIndexFault(index_->DeleteObject(object->serial));
  RemoveFile(*object, table_.RowOf(object));
  table_.SetGone(object);
}

void CacheStorage::RemoveFile(const CachedObject& object, const ObjectRow& row) {
  if (row.lent) {
    if (auto moved = directory_->MoveToDying(object.name, object.extension)) {
      return dying_.Add(std::move(*moved), row.allocated);
    }
  }
  ::unlink(PathOf(object).c_str());
}

void CacheStorage::CarryOutChanges() {
  const TableChanges changes = table_.TakeChanges();
  for (const ObjectPtr& object : changes.rows) MarkDirty(object);
  for (const auto& [object, extent] : changes.extents) {
    MarkDirty(object);
    dirty_[object->serial].extents.insert(extent);
  }
  for (const ObjectPtr& object : changes.doomed) Remove(object);
  if (!dying_.empty()) dying_.Reap();
}

void CacheStorage::MarkDirty(const ObjectPtr& object) { dirty_[object->serial].object = object; }

// False where something could not be saved; that stays dirty.
bool CacheStorage::Commit() {
  CarryOutChanges();
  const bool saved = SaveDirty();
  if (saved) NoteIndexFault(index_->CheckpointIfLarge());
  written_since_commit_ = 0;
  last_commit_ = clock_.Now();
  index_bytes_ = directory_->GetOverheadBytes();
  return saved;
}

bool CacheStorage::SaveDirty() {
  std::vector<std::pair<ObjectPtr, ObjectRow>> saved;
  Result<void> result;
  for (auto at = dirty_.begin(); result && at != dirty_.end(); ++at) {
    const ObjectPtr& object = at->second.object;
    saved.emplace_back(object, table_.RowOf(object));
    result = SaveRow(saved.back().second, at->second);
    if (result || result.error().code != ErrorCode::kNotFound) continue;
    // Its row went with an earlier transaction that failed. Without one it would be of this run only.
    table_.Doom(object);
    result = {};
  }
  if (result) result = index_->Commit();
  NoteIndexFault(result);
  if (!result) return false;
  for (const auto& [object, row] : saved) {
    object->last_use_in_index_s = row.last_use_s;
    if (!row.complete) object->complete_in_index = false;
  }
  dirty_.clear();
  return true;
}

Result<void> CacheStorage::SaveRow(const ObjectRow& row, const Dirty& dirty) {
  S3OVERLAY_RETURN_IF_ERROR(index_->UpdateObject(row));
  for (const uint64_t extent : dirty.extents) {
    const std::vector<std::byte> blob = table_.EncodeExtent(dirty.object, extent);
    S3OVERLAY_RETURN_IF_ERROR(index_->PutExtent({.serial = row.serial, .extent = extent, .blob = blob}));
  }
  return {};
}

Duration CacheStorage::TimeToTick() const { return dirty_.empty() ? kTick : kCommitInterval; }

void CacheStorage::CommitIfDue() {
  if (dirty_.empty()) return;
  if (written_since_commit_ >= kCommitBytes || clock_.Now() - last_commit_ >= kCommitInterval) Flush();
}

void CacheStorage::Flush() {
  if (!EnsureAlive()) return;
  (void)Commit();
  (void)MakeRoom(0, 0);  // For what the index has grown by.
}

void CacheStorage::Tick() {
  if (!EnsureAlive()) return;
  CarryOutChanges();
  // What is known of objects lies there too, and grows while no block is written.
  index_bytes_ = directory_->GetOverheadBytes();
  (void)MakeRoom(0, 0);
  if (!dirty_.empty()) (void)Commit();
}

void CacheStorage::Clear() {
  if (!EnsureAlive()) return;
  table_.DoomAll();
  CarryOutChanges();
  NoteIndexFault(index_->DeleteAll());
  (void)Commit();
}

void CacheStorage::Finish() {
  if (!EnsureAlive()) return;
  SaveLastUses();
  (void)Commit();
  NoteIndexFault(index_->FinishCleanly());
}

void CacheStorage::SaveLastUses() {
  for (const ObjectPtr& object : table_.ListObjects()) {
    if (table_.RowOf(object).last_use_s - object->last_use_in_index_s >= kLastUseSteps) MarkDirty(object);
  }
}

void CacheStorage::NoteIndexFault(const Result<void>& result) {
  if (result) return;
  faults_.Note(result.error());
  if (result.error().code == ErrorCode::kBadResponse) index_damaged_ = true;
}

void CacheStorage::Measure(const ObjectPtr& object, const DataFile& file) {
  if (auto status = file.GetStatus()) table_.SetStatus(object, *status);
}

uint64_t CacheStorage::UsedBytes() const {
  return table_.GetTotals().allocated + dying_.bytes() + index_bytes_.load(std::memory_order_relaxed);
}

std::string CacheStorage::PathOf(const CachedObject& object) const {
  return DataPath(options_.dir, object.name, object.extension);
}

}  // namespace s3overlay
