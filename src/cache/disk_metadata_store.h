// SPDX-License-Identifier: Apache-2.0
//
// DiskMetadataStore: what was last known of objects and directories, in `metadata.sqlite` beside the blocks. Writing
// happens on a thread of its own, many changes to a transaction; a crash loses the newest ones, which costs nothing but
// knowledge. A damaged file is removed and a new one started, and so is one that somebody removed, also while this
// runs: it is a memory, never a reason not to start. A disk that hangs is a memory that fails, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/disk_waiter.h"
#include "cache/metadata_database.h"
#include "s3overlay/clock.h"
#include "s3overlay/metadata_store.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct DiskMetadataStoreOptions {
  // The cache directory; owned by this process already (DiskBlockCache holds its lock).
  std::string dir;

  // Names kept in all, about 200 bytes each. Above it the directories that were written longest ago go first.
  uint64_t max_entries = 500'000;

  // Names that wait to be written; what comes while they are that many is dropped.
  size_t max_queued_entries = 300'000;
};

// Thread-safe.
class DiskMetadataStore final : public MetadataStore {
 public:
  // kSystem when the file cannot be made.
  static Result<std::unique_ptr<DiskMetadataStore>> Open(DiskMetadataStoreOptions options, const Clock& clock);

  // Writes what is queued.
  ~DiskMetadataStore() override;

  void KeepEntry(std::string_view scope, std::string_view path, const CatalogEntry& entry) override;
  void KeepAbsence(std::string_view scope, std::string_view path, TimePoint learned_at) override;
  void KeepListing(std::string_view scope, std::string_view path,
                   std::shared_ptr<const CatalogListing> listing) override;
  Result<std::optional<CatalogEntry>> RecallEntry(std::string_view scope, std::string_view path) override;
  std::shared_ptr<const CatalogListing> RecallListing(std::string_view scope, std::string_view path) override;

  QueueLength GetQueue() const S3OVERLAY_EXCLUDES(queue_mu_);

  // Returns when everything kept so far is in the file.
  void Flush();

 private:
  using Listing = std::shared_ptr<const CatalogListing>;
  struct Absence {
    TimePoint learned_at;
  };

  struct Change {
    std::string scope;
    std::string path;
    std::variant<Absence, CatalogEntry, Listing> what;
    size_t weight() const;  // Names that it writes.
  };

  DiskMetadataStore(DiskMetadataStoreOptions options, const Clock& clock);
  Result<void> OpenDatabases() S3OVERLAY_EXCLUDES(reader_mu_);
  Result<void> StartAnew() S3OVERLAY_EXCLUDES(reader_mu_);
  void Enqueue(Change change) S3OVERLAY_EXCLUDES(queue_mu_);
  void WriteQueue() S3OVERLAY_EXCLUDES(queue_mu_);
  Result<void> WriteAll(const std::vector<Change>& changes);
  Result<void> Write(const Change& change);
  Result<void> Ask(std::function<Result<void>(MetadataDatabase&)> question) S3OVERLAY_EXCLUDES(reader_mu_);
  int64_t ToWall(TimePoint learned_at) const;
  TimePoint ToSteady(int64_t learned_ns) const;

  const DiskMetadataStoreOptions options_;
  const Clock& clock_;

  std::unique_ptr<MetadataDatabase> writer_;  // Used by the pool's thread alone once Open has returned.
  uint64_t written_since_prune_ = 0;          // The same.
  bool failing_ = false;                      // The same: said in the log once.

  // SQLite reads a few pages under it; a second connection would only move the lock into SQLite.
  Mutex reader_mu_;
  std::unique_ptr<MetadataDatabase> reader_ S3OVERLAY_GUARDED_BY(reader_mu_);

  mutable Mutex queue_mu_;
  std::vector<Change> queue_ S3OVERLAY_GUARDED_BY(queue_mu_);
  size_t queued_entries_ S3OVERLAY_GUARDED_BY(queue_mu_) = 0;

  // Last: their threads use all of the above.
  DiskWaiter waiter_{{.threads = 1}};
  ThreadPool pool_;
};

}  // namespace s3overlay
