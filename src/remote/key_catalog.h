// SPDX-License-Identifier: Apache-2.0
//
// KeyCatalog: the objects below one prefix of a bucket, as an ObjectCatalog.
//
// Lookups are cheap. Listings answer the lookups that follow; the first miss in a directory lists one page of it, and
// beside that, for one round trip in all, a few names from the missed one on. A complete page answers all names of the
// directory; a directory known to be absent is not asked about below. In a directory that is larger than a page a name
// costs one LIST that begins at it. Where that does not decide it, or lists are denied, a lookup costs a HEAD of the
// key and a LIST of one key below it, side by side.
//
// Sources: S3 API reference, ListObjectsV2 (order, delimiter, continuation) and HeadObject.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "remote/directory_names.h"
#include "remote/key_mapping.h"
#include "remote/listing_walk.h"
#include "remote/metadata_cache.h"
#include "remote/single_flight.h"
#include "s3overlay/clock.h"
#include "s3overlay/metadata_store.h"
#include "s3overlay/metrics.h"
#include "s3overlay/object_catalog.h"
#include "s3overlay/object_store.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct KeyCatalogOptions {
  std::string bucket;
  std::string prefix;                                // With or without trailing slash; empty: the whole bucket.
  Duration metadata_ttl = std::chrono::seconds(60);  // Longer: fewer requests, changes are seen later.
  Duration negative_ttl = std::chrono::seconds(5);   // The same for names that are not there. Not for those that a
                                                     // listing of several pages lacks: they share the listing's life.
  std::optional<Duration> page_timeout = {};         // Of one page of a listing, retries included, where a later layer
                                                     // could answer in its place. Else only the call's own.
  int lane = 0;                                      // Where calls that would block may wait.
  uint64_t max_cached_bytes = uint64_t{128} << 20;   // About 1,300,000 listed names.
  size_t threads = 8;                                // For the second request of a cold lookup.
};

// Thread-safe. Store, clock, metrics and memory outlive it; calls have ended when it is destroyed.
//
// Answers kNotFound only where the store has said so; the root is always there when the store answers at all. Outages
// are passed on and never remembered. kNotADirectory below an object.
class KeyCatalog final : public ObjectCatalog {
 public:
  // `memory` may be null: then nothing is known after a restart.
  KeyCatalog(KeyCatalogOptions options, ObjectStore& store, const Clock& clock, Metrics& metrics,
             MetadataStore* memory = nullptr);

  Result<CatalogEntry> Find(std::string_view path, const CallContext& context) override;
  Duration AbsenceTtl(std::string_view path) const override;
  Result<std::shared_ptr<const CatalogListing>> List(std::string_view path, const CallContext& context) override;
  Result<std::optional<CatalogEntry>> LastKnown(std::string_view path) const override;
  std::shared_ptr<const CatalogListing> LastKnownListing(std::string_view path) const override;
  std::optional<TimePoint> LearnedAt(std::string_view path) const override;
  void Forget(std::string_view path) override;
  std::string Describe(std::string_view path) const override;

  // Second requests of cold lookups that wait for a thread.
  QueueLength GetQueue() const { return pool_.GetQueue(); }

 private:
  using NamesPtr = std::shared_ptr<const DirectoryNames>;
  enum class DirectorySize { kUnknown, kOnePage, kLarge };

  // What is known within its time: an entry, kNotFound or kNotADirectory; nothing when the store has to be asked.
  std::optional<Result<CatalogEntry>> Known(std::string_view path) const;
  Duration TtlLeft(TimePoint learned_at, Duration ttl) const;
  Duration TtlLeft(const PathVerdict& verdict) const;

  Result<CatalogEntry> Ask(const std::string& path, const CallContext& context);
  std::optional<Result<CatalogEntry>> AskByList(const std::string& path, const CallContext& context);
  DirectorySize SizeOf(std::string_view directory) const;
  std::optional<Result<CatalogEntry>> AskByPage(const std::string& path, const CallContext& context);
  std::optional<Result<CatalogEntry>> AskByPrefix(const std::string& path, const CallContext& context);
  Result<CatalogEntry> AskByName(const std::string& path, const CallContext& context);
  Result<ObjectMetadata> HeadObject(const std::string& path, const CallContext& context);
  Result<bool> HasKeysBelow(const std::string& path, const CallContext& context);
  Result<CatalogEntry> Judge(const std::string& path, Result<ObjectMetadata> head, Result<bool> below,
                             TimePoint asked_at);

  Result<NamesPtr> FetchPage(const std::string& directory, const CallContext& context);
  Result<NamesPtr> FetchAll(const std::string& directory, const CallContext& context);
  ListingWalk BeginWalk(const std::string& directory);
  NamesPtr Keep(const std::string& directory, DirectoryNames fetched);

  bool HasGoneSince(std::string_view directory, TimePoint learned_at) const;
  bool IsOurs(const CatalogEntry& kept, const std::string& key) const;

  Error WouldBlock() const;
  Error NotThere(std::string_view path) const;
  CatalogEntry Directory(std::string_view path, TimePoint learned_at) const;

  const KeyCatalogOptions options_;
  const KeyMapping mapping_;
  const std::string scope_;  // In the store of metadata.
  ObjectStore& store_;
  const Clock& clock_;
  Metrics& metrics_;
  MetadataStore* const memory_;

  mutable MetadataCache cache_;
  SingleFlight<CatalogEntry> finds_;
  SingleFlight<NamesPtr> pages_;
  SingleFlight<NamesPtr> listings_;
  UnfinishedWalks unfinished_;

  ThreadPool pool_;  // Last: its tasks use the others.
};

}  // namespace s3overlay
