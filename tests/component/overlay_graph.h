// SPDX-License-Identifier: Apache-2.0
//
// A mount without the mount: the objects of a store in memory over a local directory, with a cache on a real disk. As
// app/compose wires it, but that store and clock are the test's.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cache/disk_block_cache.h"
#include "cache/disk_metadata_store.h"
#include "local/local_source.h"
#include "overlay/overlay_source.h"
#include "remote/block_fetcher.h"
#include "remote/key_catalog.h"
#include "remote/object_source.h"
#include "s3overlay/metrics.h"
#include "support/fake_clock.h"
#include "support/memory_object_store.h"
#include "support/temp_dir.h"

namespace s3overlay::testing {

constexpr uint64_t kBlock = 4096;
constexpr Duration kMetadataTtl = std::chrono::seconds(60);

// What outlives a run.
struct Surroundings {
  MemoryObjectStore store;
  FakeClock clock;
  const TempDir local;
  const TempDir cache;
};

// One run. Its end is an orderly one.
class OverlayGraph {
 public:
  explicit OverlayGraph(Surroundings& around)
      : cache_(OpenCache(around, metrics_)),
        memory_(OpenMemory(around)),
        fetcher_({.memory_limit = 64 << 20}, cache_.get(), around.clock, metrics_),
        catalog_({.bucket = "b", .prefix = "p", .metadata_ttl = kMetadataTtl}, around.store, around.clock, metrics_,
                 memory_.get()),
        overlay_({}, MakeLayers(around), metrics_) {}

  OverlaySource& overlay() { return overlay_; }
  BlockCache& cache() { return *cache_; }

 private:
  static std::unique_ptr<DiskBlockCache> OpenCache(Surroundings& around, Metrics& metrics) {
    return Opened(DiskBlockCache::Open(
        {.dir = around.cache.path(), .size_limit = 64 << 20, .block_size = kBlock, .owner = "a test"}, around.clock,
        metrics));
  }
  static std::unique_ptr<DiskMetadataStore> OpenMemory(Surroundings& around) {
    return Opened(DiskMetadataStore::Open({.dir = around.cache.path()}, around.clock));
  }
  std::vector<OverlayLayer> MakeLayers(Surroundings& around) {
    std::vector<OverlayLayer> layers;
    layers.push_back(
        {.spec = "s3://b/p",
         .at = "",
         .source = std::make_unique<ObjectSource>(ObjectSourceOptions{.spec = "s3://b/p", .metadata_ttl = kMetadataTtl},
                                                  catalog_, around.store, fetcher_, cache_.get(), around.clock)});
    layers.push_back({.spec = "local",
                      .at = "",
                      .source = Opened(LocalSource::Open({.spec = around.local.path()}, around.local.path())),
                      .local = true});
    return layers;
  }
  template <typename T>
  static T Opened(Result<T> opened) {
    if (!opened) throw std::runtime_error(opened.error().message);
    return *std::move(opened);
  }

  // In the order in which they use each other: the last goes first.
  Metrics metrics_;
  const std::unique_ptr<DiskBlockCache> cache_;
  const std::unique_ptr<DiskMetadataStore> memory_;
  BlockFetcher fetcher_;
  KeyCatalog catalog_;
  OverlaySource overlay_;
};

}  // namespace s3overlay::testing
