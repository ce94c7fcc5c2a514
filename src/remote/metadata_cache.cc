// SPDX-License-Identifier: Apache-2.0
#include "remote/metadata_cache.h"

#include <utility>

namespace s3overlay {
namespace {

// Estimates: the structures, the list and hash nodes around them, and what their strings hold.
constexpr uint64_t kRecordBytes = 256;

uint64_t BytesOf(const CatalogEntry& entry) {
  uint64_t bytes = sizeof(CatalogEntry) + entry.name.size();
  if (entry.object) {
    const ObjectId& id = entry.object->id;
    bytes += id.store.size() + id.bucket.size() + id.key.size() + id.etag.size() + id.version_id.size();
  }
  return bytes;
}

uint64_t BytesOf(const DirectoryNames& names) {
  return sizeof(DirectoryNames) + names.passed.size() + names.listing->bytes();
}

// The word of a directory's names on one of them.
std::optional<PathVerdict> VerdictOn(std::string_view name, const DirectoryNames& names, uint64_t sequence) {
  if (!names.Decides(name)) return std::nullopt;
  return PathVerdict{.entry = names.Find(name),
                     .learned_at = names.learned_at,
                     .sequence = sequence,
                     .paged = names.complete && names.paged};
}

// That names lie below it makes it a directory. That none do says nothing: it may be an object.
std::optional<PathVerdict> VerdictOfOwn(std::string_view path, const DirectoryNames& names, uint64_t sequence) {
  if (!names.exists) return std::nullopt;
  CatalogEntry entry{.name = std::string(LastComponent(path)), .object = std::nullopt, .learned_at = names.learned_at};
  return PathVerdict{.entry = std::move(entry), .learned_at = names.learned_at, .sequence = sequence};
}

// By its date first: a listing is as old as its first page, however late its last one came.
bool IsLater(const PathVerdict& a, const PathVerdict& b) {
  return a.learned_at != b.learned_at ? a.learned_at > b.learned_at : a.sequence > b.sequence;
}

void TakeLater(std::optional<PathVerdict>& best, std::optional<PathVerdict> other) {
  if (other && (!best || IsLater(*other, *best))) best = std::move(other);
}

}  // namespace

MetadataCache::Record* MetadataCache::Use(std::string_view path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  records_.splice(records_.begin(), records_, found->second);
  return &records_.front();
}

MetadataCache::Record& MetadataCache::Make(std::string_view path) {
  if (Record* record = Use(path)) return *record;
  records_.push_front({.path = std::string(path), .verdict = {}, .page = {}, .complete = {}, .bytes = 0});
  by_path_.emplace(records_.front().path, records_.begin());
  return records_.front();
}

void MetadataCache::Weigh(Record& record) {
  bytes_ -= record.bytes;
  record.bytes = kRecordBytes + record.path.size();
  if (record.verdict && record.verdict->entry) record.bytes += BytesOf(*record.verdict->entry);
  if (record.page.names) record.bytes += BytesOf(*record.page.names);
  if (record.complete.names) record.bytes += BytesOf(*record.complete.names);
  bytes_ += record.bytes;
  while (bytes_ > max_bytes_ && !records_.empty()) {
    bytes_ -= records_.back().bytes;
    by_path_.erase(records_.back().path);
    records_.pop_back();
  }
}

void MetadataCache::Remember(std::string_view path, std::optional<CatalogEntry> entry, TimePoint learned_at) {
  MutexLock lock(mu_);
  Record& record = Make(path);
  record.verdict = PathVerdict{.entry = std::move(entry), .learned_at = learned_at, .sequence = ++sequence_};
  Weigh(record);
}

void MetadataCache::RememberNames(std::string_view directory, std::shared_ptr<const DirectoryNames> names) {
  MutexLock lock(mu_);
  Record& record = Make(directory);
  Names& place = names->complete ? record.complete : record.page;
  if (place.names && place.names->learned_at > names->learned_at) return;  // Asked for before it, and came after it.
  if (names->complete && record.page.names && record.page.names->learned_at <= names->learned_at) record.page = {};
  place = {.names = std::move(names), .sequence = ++sequence_};
  Weigh(record);
}

std::optional<PathVerdict> MetadataCache::Find(std::string_view path) {
  MutexLock lock(mu_);
  std::optional<PathVerdict> best;
  const Record* const parent = path.empty() ? nullptr : Use(ParentPath(path));
  if (parent != nullptr) {
    for (const Names* said : {&parent->page, &parent->complete}) {
      if (said->names) TakeLater(best, VerdictOn(LastComponent(path), *said->names, said->sequence));
    }
  }
  const Record* const record = Use(path);
  if (record == nullptr) return best;
  TakeLater(best, record->verdict);
  for (const Names* said : {&record->page, &record->complete}) {
    if (said->names) TakeLater(best, VerdictOfOwn(path, *said->names, said->sequence));
  }
  return best;
}

const MetadataCache::Names& MetadataCache::LatestNames(const Record& record) {
  const Names& page = record.page;
  const Names& complete = record.complete;
  if (!page.names || !complete.names) return page.names ? page : complete;
  const TimePoint of_page = page.names->learned_at;
  const TimePoint of_complete = complete.names->learned_at;
  if (of_page == of_complete) return page.sequence > complete.sequence ? page : complete;
  return of_page > of_complete ? page : complete;
}

std::shared_ptr<const DirectoryNames> MetadataCache::FindNames(std::string_view directory) {
  MutexLock lock(mu_);
  const Record* const record = Use(directory);
  return record == nullptr ? nullptr : LatestNames(*record).names;
}

std::shared_ptr<const DirectoryNames> MetadataCache::FindComplete(std::string_view directory) {
  MutexLock lock(mu_);
  const Record* const record = Use(directory);
  return record == nullptr ? nullptr : record->complete.names;
}

void MetadataCache::Forget(std::string_view path) {
  MutexLock lock(mu_);
  if (Record* record = Use(path)) {
    record->verdict.reset();
    record->page = {};
    record->complete = {};
    Weigh(*record);
  }
  if (path.empty()) return;
  Record* const parent = Use(ParentPath(path));
  if (parent == nullptr) return;
  for (Names* said : {&parent->page, &parent->complete}) {
    if (!said->names) continue;
    auto old = std::make_shared<DirectoryNames>(*said->names);
    old->learned_at = TimePoint::min();
    said->names = std::move(old);
  }
}

uint64_t MetadataCache::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

}  // namespace s3overlay
