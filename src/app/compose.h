// SPDX-License-Identifier: Apache-2.0
//
// Compose: a configuration into the running object graph. With app/store_connection the only place that names concrete
// classes of the rooms below.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/mount_probe.h"
#include "app/store_connection.h"
#include "cache/disk_block_cache.h"
#include "cache/disk_metadata_store.h"
#include "overlay/overlay_source.h"
#include "remote/block_fetcher.h"
#include "remote/key_catalog.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"
#include "s3overlay/status_source.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct LayerSpec;
struct MountConfig;

// Tells whoever listens that a store is back. Thread-safe; a listener that was taken away is not called any more.
class StoreReturn {
 public:
  void Listen(std::function<void()> listener) S3OVERLAY_EXCLUDES(mu_);
  void Tell() S3OVERLAY_EXCLUDES(mu_);

 private:
  Mutex mu_;
  std::function<void()> listener_ S3OVERLAY_GUARDED_BY(mu_);
};

// Everything of a mount but the mount itself. Owns what it shows; thread-safe once made.
class RunningGraph {
 public:
  // Opens local directories, the covered one among them, and the cache: before anything is mounted. `mountpoint` has no
  // links. Starts threads: fork before.
  static Result<std::unique_ptr<RunningGraph>> Compose(const MountConfig& config, const std::string& mountpoint);
  ~RunningGraph();
  RunningGraph(const RunningGraph&) = delete;
  RunningGraph& operator=(const RunningGraph&) = delete;

  const Clock& clock() const { return clock_; }
  Metrics& metrics() { return metrics_; }
  const Metrics& metrics() const { return metrics_; }
  OverlaySource& overlay() { return *overlay_; }
  BlockCache* cache() { return cache_.get(); }  // Null with --no-cache.
  uint64_t memory_used() const { return fetcher_->memory_used(); }
  StoreReturn& store_return() { return store_return_; }

  // One lane a store: FuseOptions::lane_count.
  int lane_count() const { return static_cast<int>(connections_.size()) + 1; }
  const std::vector<ProbeTarget>& probe_targets() const { return probe_targets_; }
  StatusList GetLayers() const { return layers_status_; }
  StatusList GetEndpoints() const;
  std::vector<QueueLength> GetQueues() const;

 private:
  struct Connection;

  RunningGraph();
  Result<void> OpenCache(const MountConfig& config, const std::string& mountpoint);
  Result<void> AddLayers(const MountConfig& config, const std::string& mountpoint);
  Result<std::unique_ptr<FileSource>> MakeSource(const MountConfig& config, size_t index,
                                                 const std::string& mountpoint);
  Result<std::unique_ptr<FileSource>> MakeLocalSource(const MountConfig& config, const LayerSpec& layer,
                                                      const std::string& mountpoint);
  std::unique_ptr<FileSource> MakeRemoteSource(const MountConfig& config, size_t index);
  Connection& ConnectionFor(const MountConfig& config, const LayerSpec& layer);

  // In the order in which they use each other: the last goes first.
  const SystemClock clock_;
  Metrics metrics_;
  StoreReturn store_return_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<DiskBlockCache> cache_;
  std::unique_ptr<MetadataStore> metadata_;
  const DiskMetadataStore* disk_metadata_ = nullptr;  // The same, where it could be opened.
  std::unique_ptr<BlockFetcher> fetcher_;
  std::vector<std::unique_ptr<KeyCatalog>> catalogs_;
  std::unique_ptr<OverlaySource> overlay_;
  std::vector<ProbeTarget> probe_targets_;
  StatusList layers_status_;
};

}  // namespace s3overlay
