// SPDX-License-Identifier: Apache-2.0
//
// NeighbourPrefetch: fetches the small files of a directory ahead of a reader who goes through them, where the listing
// of the directory is known. Files of one ending are one series, since programs often read just these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remote/block_fetcher.h"
#include "remote/directory_readahead.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_catalog.h"
#include "s3overlay/object_store.h"

namespace s3overlay {

struct NeighbourPrefetchOptions {
  uint64_t small_file = 1 << 20;  // Bytes; larger files are left to their readers.
  size_t max_series = 64;         // Followed at a time; about 25 bytes a file each.
};

// Thread-safe. Catalog, store and fetcher outlive it.
class NeighbourPrefetch {
 public:
  NeighbourPrefetch(NeighbourPrefetchOptions options, ObjectCatalog& catalog, ObjectStore& store,
                    BlockFetcher& fetcher);
  ~NeighbourPrefetch();
  NeighbourPrefetch(const NeighbourPrefetch&) = delete;
  NeighbourPrefetch& operator=(const NeighbourPrefetch&) = delete;

  // The object at `path` was opened. Does not wait.
  void OnOpen(std::string_view path, uint64_t size) S3OVERLAY_EXCLUDES(mu_);

 private:
  using ListingPtr = std::shared_ptr<const CatalogListing>;
  struct Series {
    std::string directory;
    std::string ending;
    std::weak_ptr<const CatalogListing> listing;  // The catalog's to keep: a hundred bytes a name.
    std::vector<uint32_t> files;                  // Where in the listing the small ones of that ending are.
    uint64_t mean_size = 1;                       // Of those.
    DirectoryReadahead ahead;
    PrefetchToken token;
  };

  Series& SeriesOf(std::string_view directory, std::string_view ending, const ListingPtr& listing)
      S3OVERLAY_REQUIRES(mu_);
  Series MakeSeries(std::string_view directory, std::string_view ending, const ListingPtr& listing) const;
  void Drop(std::list<Series>::iterator series) S3OVERLAY_REQUIRES(mu_);

  const NeighbourPrefetchOptions options_;
  ObjectCatalog& catalog_;
  ObjectStore& store_;
  BlockFetcher& fetcher_;

  Mutex mu_;                                            // Before the fetcher's.
  std::list<Series> series_ S3OVERLAY_GUARDED_BY(mu_);  // Last used first.
};

}  // namespace s3overlay
