// SPDX-License-Identifier: Apache-2.0
//
// ObjectSource: the objects of a catalog as files.
//
// While the store is away it answers for an object only if the whole of its last known version is cached (state stale).
// Everything between that and nothing is the overlay's to decide, by LastKnown and GetCacheShare.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remote/block_fetcher.h"
#include "remote/neighbour_prefetch.h"
#include "s3overlay/block_cache.h"
#include "s3overlay/clock.h"
#include "s3overlay/file_source.h"
#include "s3overlay/object_catalog.h"
#include "s3overlay/object_store.h"

namespace s3overlay {

struct ObjectSourceOptions {
  std::string spec;                                  // For people: "s3://bucket/prefix".
  int lane = 0;                                      // Where calls that would block may wait.
  int max_retries = 5;                               // For names; fewer where a later layer could stand in.
  Duration metadata_ttl = std::chrono::seconds(60);  // As the catalog's: what is left of it is an Entry's ttl.
};

// Thread-safe. All that it is given outlives it and the files that it opened.
class ObjectSource final : public FileSource {
 public:
  // `cache` may be null.
  ObjectSource(ObjectSourceOptions options, ObjectCatalog& catalog, ObjectStore& store, BlockFetcher& fetcher,
               BlockCache* cache, const Clock& clock);

  Result<Entry> Lookup(std::string_view path, const CallContext& context) override;
  Duration AbsenceTtl(std::string_view path) const override { return catalog_.AbsenceTtl(path); }
  Result<ListingPtr> List(std::string_view path, const CallContext& context) override;
  Result<std::string> ReadLink(std::string_view path, const CallContext& context) override;
  Result<std::shared_ptr<OpenFile>> Open(const Entry& entry, const CallContext& context) override;
  Result<std::optional<Entry>> LastKnown(std::string_view path) const override;
  std::optional<Duration> AnswerAge(std::string_view path) const override;
  CacheShare GetCacheShare(const Entry& entry) const override;
  Result<std::vector<std::string>> ListXattr(const Entry& entry) override;
  Result<std::string> GetXattr(const Entry& entry, const std::string& name) override;
  std::optional<FileSystemSpace> GetSpace() const override;
  std::string Describe() const override;

 private:
  class NamesListing;

  Entry MakeEntry(std::string path, CatalogEntry found) const;
  Result<Entry> StaleOr(std::string_view path, Error error) const;
  bool IsSuperseded(const Entry& entry, const CallContext& context) const;
  Duration TtlLeft(TimePoint learned_at) const;
  CallContext Limited(const CallContext& context) const;

  const ObjectSourceOptions options_;
  ObjectCatalog& catalog_;
  ObjectStore& store_;
  BlockFetcher& fetcher_;
  BlockCache* const cache_;
  const Clock& clock_;
  NeighbourPrefetch neighbours_;
};

}  // namespace s3overlay
