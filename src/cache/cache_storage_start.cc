// SPDX-License-Identifier: Apache-2.0
//
// How a cache storage starts: from what lies in the directory to what the table may believe, again whenever the
// directory went away. Nothing in it is trusted: a row without its very file, or with values that do not fit, is
// dropped, and so is a file without a row.
#include <unistd.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "cache/cache_storage.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr uint64_t kMaxObjectSize = uint64_t{1} << 62;
constexpr int64_t kMaxSerial = int64_t{1} << 62;
constexpr Duration kStartInterval = std::chrono::seconds(1);

Error Damaged(const std::string& why) {
  return {.code = ErrorCode::kSystem, .message = fmt::format("{}; nothing was removed", why), .sys_errno = EIO};
}

}  // namespace

// Before anything is touched.
Result<void> CacheStorage::CheckFits() const {
  const std::string format = CacheDirectory::FormatOf(options_.dir);
  if (format != CacheDirectory::ThisFormat()) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = fmt::format("cache {}: its format is \"{}\", not \"{}\"; nothing was changed", options_.dir,
                                        format, CacheDirectory::ThisFormat())};
  }
  const std::string index = CacheDirectory::IndexPath(options_.dir);
  if (::access(index.c_str(), F_OK) != 0) return Damaged(SystemError(errno, fmt::format("open {}", index)).message);
  return {};
}

Result<void> CacheStorage::Start() {
  if (options_.must_fit) S3OVERLAY_RETURN_IF_ERROR(CheckFits());
  auto directory = CacheDirectory::Open(options_.dir, options_.owner);
  if (!directory) return directory.error();
  directory_ = std::move(*directory);
  if (!directory_->IsOfThisFormat()) {
    log::Warning("cache {}: written by another version; starting with an empty one", options_.dir);
    directory_->RemoveContent();
  }
  S3OVERLAY_RETURN_IF_ERROR(directory_->WriteFormat());
  if (auto opened = OpenContent(); !opened) {
    if (options_.must_fit) return Damaged(opened.error().message);
    log::Warning("{}; starting with an empty cache", opened.error().message);
    Forget();
    directory_->RemoveContent();
    if (opened = OpenContent(); !opened) {
      // A disk that is full or broken by others is no reason not to mount.
      faults_.Note(opened.error());
      Forget();
      next_start_ = clock_.Now() + kStartInterval;
    }
  }
  index_damaged_ = false;
  last_commit_ = clock_.Now();
  index_bytes_ = directory_->GetOverheadBytes();
  return {};
}

Result<void> CacheStorage::OpenContent() {
  for (CacheDirectory::DyingFile& file : directory_->FindDying()) dying_.Add(std::move(file.path), file.allocated);
  // The log beside the index is bounded by a small share of a small cache.
  const uint64_t wal_limit = std::clamp<uint64_t>(options_.limits.size_limit / 64, 64 << 10, 4 << 20);
  auto index = CacheIndex::Open(directory_->IndexPath(), options_.block_size, wal_limit);
  if (!index) return index.error();
  index_ = std::move(*index);
  was_clean_ = index_->was_clean();
  return Load();
}

Result<void> CacheStorage::Load() {
  FoundFiles found;
  directory_->ForEachFile([&](const CacheDirectory::FoundFile& file) { found[file.name] = file; });
  std::vector<ObjectPtr> objects;
  std::unordered_map<int64_t, ObjectPtr> by_serial;
  std::vector<int64_t> refused;
  const auto on_object = [&](const ObjectRow& row) {
    if (row.serial <= kMaxSerial) next_serial_ = std::max(next_serial_, row.serial + 1);
    if (ObjectPtr object = Adopt(row, found)) {
      by_serial[row.serial] = object;
      objects.push_back(object);
    } else {
      refused.push_back(row.serial);
    }
  };
  const auto on_extent = [&](const ExtentRow& row) {
    const auto object = by_serial.find(row.serial);
    if (object != by_serial.end() && !object->second->blocks.DecodeExtent(row.extent, row.blob)) {
      object->second->refused = true;
    }
  };
  S3OVERLAY_RETURN_IF_ERROR(index_->Load(on_object, on_extent));
  for (const int64_t serial : refused) S3OVERLAY_RETURN_IF_ERROR(index_->DeleteObject(serial));
  for (const auto& [name, file] : found) ::unlink(DataPath(options_.dir, name, file.extension).c_str());
  for (const ObjectPtr& object : objects) {
    if (IsSound(*object) && (was_clean_ || TidyAfterCrash(*object))) {
      table_.Insert(object);
    } else {
      Reject(object);
    }
  }
  S3OVERLAY_RETURN_IF_ERROR(index_->Commit());
  NoteIndexFault(index_->CheckpointIfLarge());
  return {};
}

// Null where the row's file is not there, or where the row holds what no honest row would. Found files that are adopted
// leave `found`.
ObjectPtr CacheStorage::Adopt(const ObjectRow& row, FoundFiles& found) {
  const auto file = found.find(row.name);
  if (file == found.end() || row.serial <= 0 || row.serial > kMaxSerial) return nullptr;
  if (row.file.size == 0 || row.file.size > kMaxObjectSize || row.file.size != file->second.size) return nullptr;
  if (row.file.inode != file->second.inode || row.extension != file->second.extension) return nullptr;
  ObjectRow measured = row;
  measured.allocated = file->second.allocated;
  measured.changed_ns = file->second.changed_ns;
  found.erase(file);
  auto object = std::make_shared<CachedObject>(measured, options_.block_size);
  object->complete = row.complete && row.changed_ns == measured.changed_ns;
  return object;
}

// A file that is called complete has no holes and was not changed since, else it is one like any other: its blocks are
// checked as they are used. Nothing may ever be written into one that was handed out.
bool CacheStorage::IsSound(CachedObject& object) {
  if (object.refused || object.blocks.present_count() == 0) return false;
  if (object.complete && object.blocks.is_full() && object.allocated >= object.identity.size) return true;
  if (object.lent && !object.blocks.is_full()) return false;
  object.complete = false;
  if (!object.complete_in_index) return true;
  const Result<void> saved = index_->UpdateObject({.serial = object.serial,
                                                   .name = object.name,
                                                   .extension = object.extension,
                                                   .etag = {},
                                                   .file = object.identity,
                                                   .allocated = object.allocated,
                                                   .lent = object.lent,
                                                   .last_use_s = object.last_use_s});
  NoteIndexFault(saved);
  object.complete_in_index = false;
  return saved.has_value();
}

// Blocks that were written and never committed take space that nobody counts: their space is given back. And what was
// lent says so in the file, however the process ended.
bool CacheStorage::TidyAfterCrash(CachedObject& object) {
  auto file = DataFile::Open(PathOf(object), object.identity, FileUse::kChange);
  if (!file) return false;
  if (object.complete) {
    object.lent = object.lent || (*file)->WasLent();
    return true;
  }
  if ((*file)->WasLent() && object.identity.id != 0) {
    object.lent = true;
    return object.blocks.is_full();
  }
  if (object.allocated <= RoundUpToPage(object.blocks.present_bytes())) return true;
  if (!PunchGaps(object, **file)) return false;
  auto status = (*file)->GetStatus();
  if (!status) return false;
  object.allocated = status->allocated;
  object.changed_ns = status->changed_ns;
  return true;
}

// By what is there: what is not may be far more.
bool CacheStorage::PunchGaps(const CachedObject& object, DataFile& file) const {
  const uint64_t step = options_.block_size;
  const uint64_t count = object.blocks.block_count();
  std::vector<uint64_t> ends = object.blocks.PresentIn(0, count);
  ends.push_back(count);
  uint64_t begin = 0;
  for (const uint64_t end : ends) {
    if (end > begin && !file.Punch({begin * step, (end - begin) * step})) return false;
    begin = end + 1;
  }
  return true;
}

void CacheStorage::Reject(const ObjectPtr& object) {
  NoteIndexFault(index_->DeleteObject(object->serial));
  RemoveFile(*object, table_.RowOf(object));
}

// False where there is no cache directory to be had at the moment.
bool CacheStorage::EnsureAlive() {
  last_look_ = clock_.Now();
  const bool alive = directory_ != nullptr && index_ != nullptr && directory_->IsAlive() && index_->IsAlive();
  if (alive && !index_damaged_) return true;
  if (options_.must_fit) return false;
  if (clock_.Now() < next_start_) return false;
  if (index_ != nullptr) log::Warning("cache {}: it was removed or is damaged; starting anew", options_.dir);
  Forget();
  if (alive) directory_->RemoveContent();
  directory_ = nullptr;
  auto started = Start();
  if (started) return index_ != nullptr;
  faults_.Note(started.error());
  Forget();
  directory_ = nullptr;
  next_start_ = clock_.Now() + kStartInterval;
  return false;
}

// The files are gone, or about to be.
void CacheStorage::Forget() {
  table_.DoomAll();
  for (const ObjectPtr& object : table_.TakeChanges().doomed) table_.SetGone(object);
  dying_.Forget();
  dirty_.clear();
  index_ = nullptr;
}

}  // namespace s3overlay
