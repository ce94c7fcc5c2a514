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

// So few that nobody who asks for another name waits long behind them.
constexpr size_t kNamesAtATime = 1024;
// Of all pieces of a listing: less than an unmount may take.
constexpr Duration kLongestRecall = std::chrono::seconds(4);

// What another thread reads, which may come with it later than anybody waits.
template <typename Known>
struct Recalled {
  Recalled(std::string_view in_scope, std::string_view at_path) : scope(in_scope), path(at_path) {}
  MetadataKey key() const { return {scope, path}; }
  const std::string scope;
  const std::string path;
  Known known{};
};

}  // namespace

size_t DiskMetadataStore::Change::weight() const {
  const auto* listing = std::get_if<Listing>(&what);
  return listing == nullptr ? 1 : (*listing)->size() + 1;
}

Result<std::unique_ptr<DiskMetadataStore>> DiskMetadataStore::Open(DiskMetadataStoreOptions options,
                                                                   const Clock& clock) {
  std::unique_ptr<DiskMetadataStore> store(new DiskMetadataStore(std::move(options), clock));
  Result<void> opened = store->OpenDatabases();
  if (!opened && opened.error().code == ErrorCode::kBadResponse) {
    log::Warning("{}; starting a new one", opened.error().message);
    opened = store->StartAnew();
  }
  if (!opened) return opened.error();
  return store;
}

DiskMetadataStore::DiskMetadataStore(DiskMetadataStoreOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), pool_({.name = "metadata", .threads = 1, .queue_limit = 2}) {}

DiskMetadataStore::~DiskMetadataStore() {
  waiter_.Stop();
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

Result<void> DiskMetadataStore::StartAnew() {
  RemoveFiles(PathIn(options_.dir));
  return OpenDatabases();
}

void DiskMetadataStore::KeepEntry(std::string_view scope, std::string_view path, const CatalogEntry& entry) {
  Enqueue({.scope = std::string(scope), .path = std::string(path), .what = entry});
}

void DiskMetadataStore::KeepAbsence(std::string_view scope, std::string_view path, TimePoint learned_at) {
  Enqueue({.scope = std::string(scope), .path = std::string(path), .what = Absence{learned_at}});
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
  Result<void> written = writer_->IsAlive() ? Result<void>() : StartAnew();
  if (written) written = writer_->InTransaction([&] { return WriteAll(changes); });
  if (!written && !failing_) log::Warning("{}; it is not kept", written.error().message);
  failing_ = !written;
  if (failing_ && written.error().code == ErrorCode::kBadResponse) (void)StartAnew();
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
  const int64_t now_ns = ToWall(clock_.Now());
  if (const auto* entry = std::get_if<CatalogEntry>(&change.what)) {
    return writer_->PutName(key, {.entry = *entry, .learned_ns = ToWall(entry->learned_at)}, now_ns);
  }
  if (const auto* listing = std::get_if<Listing>(&change.what)) {
    return writer_->PutListing(key, **listing, ToWall((*listing)->learned_at()), now_ns);
  }
  return writer_->Remove(key, ToWall(std::get<Absence>(change.what).learned_at), now_ns);
}

// The question may outlive whoever asks it. A damaged memory knows nothing, which is an answer.
Result<void> DiskMetadataStore::Ask(std::function<Result<void>(MetadataDatabase&)> question) {
  const auto answer = std::make_shared<Result<void>>();
  const auto outcome = waiter_.Run([this, answer, question = std::move(question)] {
    MutexLock lock(reader_mu_);
    *answer = question(*reader_);
  });
  if (outcome != DiskWaiter::Outcome::kDone) {
    return Error{ErrorCode::kUnavailable, "the disk of the cache does not say what was last known"};
  }
  if (*answer || answer->error().code == ErrorCode::kBadResponse) return *answer;
  return Error{ErrorCode::kUnavailable, answer->error().message};
}

Result<std::optional<CatalogEntry>> DiskMetadataStore::RecallEntry(std::string_view scope, std::string_view path) {
  const auto recalled = std::make_shared<Recalled<std::optional<KnownName>>>(scope, path);
  const int64_t now_ns = ToWall(clock_.Now());
  const Result<void> asked = Ask([recalled, now_ns](MetadataDatabase& database) -> Result<void> {
    auto found = database.FindName(recalled->key(), now_ns);
    if (!found) return found.error();
    recalled->known = *std::move(found);
    return {};
  });
  if (!asked && asked.error().code == ErrorCode::kUnavailable) return asked.error();
  if (!asked || !recalled->known) return std::optional<CatalogEntry>();
  KnownName& known = *recalled->known;
  known.entry.learned_at = ToSteady(known.learned_ns);
  return std::optional(std::move(known.entry));
}

std::shared_ptr<const CatalogListing> DiskMetadataStore::RecallListing(std::string_view scope, std::string_view path) {
  const auto recalled = std::make_shared<Recalled<KnownDirectory>>(scope, path);
  KnownDirectory& known = recalled->known;
  const int64_t now_ns = ToWall(clock_.Now());
  const auto give_up_at = std::chrono::steady_clock::now() + kLongestRecall;
  while (!known.is_whole) {
    if (std::chrono::steady_clock::now() > give_up_at) return nullptr;
    const Result<void> asked = Ask([recalled, now_ns](MetadataDatabase& database) {
      return database.ReadListing(recalled->key(), now_ns, kNamesAtATime, &recalled->known);
    });
    if (!asked) return nullptr;
  }
  return known.listed_ns == 0 ? nullptr : known.names.Build(ToSteady(known.listed_ns));
}

QueueLength DiskMetadataStore::GetQueue() const {
  MutexLock lock(queue_mu_);
  return {.name = "metadata", .unit = "names", .length = queued_entries_, .limit = options_.max_queued_entries};
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
