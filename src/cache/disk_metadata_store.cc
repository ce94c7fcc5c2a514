// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_metadata_store.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr char kFileName[] = "metadata.sqlite";

std::string PathIn(const std::string& dir) { return dir + "/" + kFileName; }

void RemoveFiles(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
}

}  // namespace

size_t DiskMetadataStore::Change::weight() const {
  const auto* listing = std::get_if<Listing>(&what);
  return listing == nullptr ? 1 : (*listing)->entries.size() + 1;
}

Result<std::unique_ptr<DiskMetadataStore>> DiskMetadataStore::Open(DiskMetadataStoreOptions options,
                                                                   const Clock& clock) {
  std::unique_ptr<DiskMetadataStore> store(new DiskMetadataStore(std::move(options), clock));
  Result<void> opened = store->OpenDatabases();
  if (!opened && opened.error().code == ErrorCode::kBadResponse) {
    log::Warning("{}; starting a new one", opened.error().message);
    RemoveFiles(PathIn(store->options_.dir));
    opened = store->OpenDatabases();
  }
  if (!opened) return opened.error();
  return store;
}

DiskMetadataStore::DiskMetadataStore(DiskMetadataStoreOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), pool_({.name = "metadata", .threads = 1, .queue_limit = 2}) {}

DiskMetadataStore::~DiskMetadataStore() {
  Flush();
  pool_.Stop();
}

Result<void> DiskMetadataStore::OpenDatabases() {
  auto writer = MetadataDatabase::Open(PathIn(options_.dir));
  if (!writer) return writer.error();
  auto reader = MetadataDatabase::Open(PathIn(options_.dir));
  if (!reader) return reader.error();
  writer_ = *std::move(writer);
  MutexLock lock(reader_mu_);
  reader_ = *std::move(reader);
  return {};
}

void DiskMetadataStore::KeepEntry(std::string_view scope, std::string_view path, const CatalogEntry& entry) {
  Enqueue({.scope = std::string(scope), .path = std::string(path), .what = entry});
}

void DiskMetadataStore::KeepAbsence(std::string_view scope, std::string_view path) {
  Enqueue({.scope = std::string(scope), .path = std::string(path), .what = Absence{}});
}

void DiskMetadataStore::KeepListing(std::string_view scope, std::string_view path,
                                    std::shared_ptr<const CatalogListing> listing) {
  Enqueue({.scope = std::string(scope), .path = std::string(path), .what = std::move(listing)});
}

void DiskMetadataStore::Enqueue(Change change) {
  {
    MutexLock lock(queue_mu_);
    const size_t weight = change.weight();
    if (queued_entries_ + weight > options_.max_queued_entries) return;
    queued_entries_ += weight;
    queue_.push_back(std::move(change));
    if (queue_.size() > 1) return;  // The task that writes the first one takes this one too.
  }
  if (pool_.TrySubmit([this] { WriteQueue(); })) return;
  MutexLock lock(queue_mu_);  // Stopping: nobody will come.
  queue_.clear();
  queued_entries_ = 0;
}

void DiskMetadataStore::WriteQueue() {
  std::vector<Change> changes;
  {
    MutexLock lock(queue_mu_);
    changes.swap(queue_);
    queued_entries_ = 0;
  }
  const Result<void> written = writer_->InTransaction([&] { return WriteAll(changes); });
  if (!written) log::Warning("{}; it is not kept", written.error().message);
}

Result<void> DiskMetadataStore::WriteAll(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    S3OVERLAY_RETURN_IF_ERROR(Write(change));
    written_since_prune_ += change.weight();
  }
  // Counting rows reads them all: only once in a while.
  if (written_since_prune_ < options_.max_entries / 10) return {};
  written_since_prune_ = 0;
  return writer_->Prune(options_.max_entries);
}

Result<void> DiskMetadataStore::Write(const Change& change) {
  const MetadataKey key{change.scope, change.path};
  if (const auto* entry = std::get_if<CatalogEntry>(&change.what)) {
    return writer_->PutName(key, {.entry = *entry, .learned_ns = ToWall(entry->learned_at)});
  }
  if (const auto* listing = std::get_if<Listing>(&change.what)) {
    return writer_->PutListing(key, **listing, ToWall((*listing)->learned_at));
  }
  return writer_->Remove(key);
}

std::optional<CatalogEntry> DiskMetadataStore::RecallEntry(std::string_view scope, std::string_view path) {
  MutexLock lock(reader_mu_);
  std::optional<KnownName> known = reader_->FindName({scope, path});
  if (!known) return std::nullopt;
  known->entry.learned_at = ToSteady(known->learned_ns);
  return std::move(known->entry);
}

std::shared_ptr<const CatalogListing> DiskMetadataStore::RecallListing(std::string_view scope, std::string_view path) {
  MutexLock lock(reader_mu_);
  std::optional<KnownDirectory> known = reader_->FindListing({scope, path});
  if (!known) return nullptr;
  auto listing = std::make_shared<CatalogListing>();
  listing->learned_at = ToSteady(known->listed_ns);
  listing->entries = std::move(known->entries);
  for (CatalogEntry& entry : listing->entries) entry.learned_at = listing->learned_at;
  return listing;
}

void DiskMetadataStore::Flush() { pool_.WaitIdle(); }

// The steady clock starts anew with the machine; what is kept is the date.
int64_t DiskMetadataStore::ToWall(TimePoint learned_at) const {
  return (clock_.WallNow() - std::max(Duration::zero(), clock_.Now() - learned_at)).time_since_epoch().count();
}

TimePoint DiskMetadataStore::ToSteady(int64_t learned_ns) const {
  return clock_.Now() - std::max(Duration::zero(), clock_.WallNow() - WallTime(Duration(learned_ns)));
}

}  // namespace s3overlay
