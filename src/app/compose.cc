// SPDX-License-Identifier: Apache-2.0
#include "app/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cache/lost_metadata_store.h"
#include "config/mount_config.h"
#include "local/local_source.h"
#include "remote/object_source.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr uint64_t kRoomBesideBlock = uint64_t{64} << 10;
constexpr int kRetries = 5;
constexpr int kRetriesBeforeFallback = 2;
constexpr Duration kPageTimeoutBeforeFallback = std::chrono::seconds(5);  // As a lookup's.

// Of the memory, for blocks on their way to the cache. A network is faster than many disks: with less, what a fast
// reader fetches is not kept, and an object that is read again and again never becomes complete.
// One block fits always, or nothing would ever be cached.
uint64_t WriteQueueBytes(const MountConfig& config) {
  if (!config.cache.enabled) return 0;
  return std::max(config.memory_limit / 4, config.cache.block_size + kRoomBesideBlock);
}

bool IsAtOrAbove(const std::string& upper, const std::string& path) {
  return upper.empty() || path == upper || path.starts_with(upper + "/");
}

// Whether a later layer shares paths with this one, so that waiting long for this one is not all that can be done.
bool HasLayerBehind(const std::vector<LayerSpec>& layers, size_t index) {
  const std::string& at = layers[index].at;
  return std::any_of(layers.begin() + static_cast<std::ptrdiff_t>(index) + 1, layers.end(),
                     [&](const LayerSpec& later) { return IsAtOrAbove(later.at, at) || IsAtOrAbove(at, later.at); });
}

// What is wrong with the directory is told as what to do about it: it is a setting that can be changed.
Error CacheRefusal(const CacheConfig& cache, const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) return error;
  return {.code = ErrorCode::kInvalidArgument,
          .message = fmt::format("cache directory {} cannot be used ({}); pass another --cache-dir, or --no-cache",
                                 cache.dir, error.message)};
}

StatusValue DescribeLayer(const LayerSpec& layer, const std::string& where) {
  return {StatusObject{{"spec", {layer.text}},
                       {"at", {layer.at}},
                       {"kind", {std::string(layer.is_s3 ? "s3" : "local")}},
                       {"source", {where}}}};
}

}  // namespace

void StoreReturn::Listen(std::function<void()> listener) {
  const MutexLock lock(mu_);
  listener_ = std::move(listener);
}

// Under the lock: once Listen has taken a listener away, no call to it is under way.
void StoreReturn::Tell() {
  const MutexLock lock(mu_);
  if (listener_) listener_();
}

// Layers of one store and bucket share a connection, and with it a lane.
struct RunningGraph::Connection {
  StoreConfig config;
  std::string bucket;
  int lane = 0;
  std::unique_ptr<StoreConnection> link;

  bool Serves(const LayerSpec& layer) const { return bucket == layer.bucket && config == layer.store; }
};

RunningGraph::RunningGraph() = default;
RunningGraph::~RunningGraph() = default;

Result<std::unique_ptr<RunningGraph>> RunningGraph::Compose(const MountConfig& config, const std::string& mountpoint) {
  std::unique_ptr<RunningGraph> graph(new RunningGraph);
  S3OVERLAY_RETURN_IF_ERROR(graph->OpenCache(config, mountpoint));
  BlockFetcherOptions options;
  options.memory_limit = config.memory_limit - WriteQueueBytes(config);
  options.block_size = config.cache.block_size;
  options.prefetch_timeout = config.op_timeout;
  graph->fetcher_ = std::make_unique<BlockFetcher>(options, graph->cache(), graph->clock_, graph->metrics_);
  S3OVERLAY_RETURN_IF_ERROR(graph->AddLayers(config, mountpoint));
  return graph;
}

Result<void> RunningGraph::OpenCache(const MountConfig& config, const std::string& mountpoint) {
  if (!config.cache.enabled) return {};
  DiskBlockCacheOptions options;
  options.dir = config.cache.dir;
  options.size_limit = config.cache.size_limit;
  options.min_free = config.cache.min_free;
  options.block_size = config.cache.block_size;
  options.owner = mountpoint;
  options.write_queue_bytes = WriteQueueBytes(config);
  auto cache = DiskBlockCache::Open(std::move(options), clock_, metrics_);
  if (!cache) return CacheRefusal(config.cache, cache.error());
  cache_ = std::move(*cache);
  DiskMetadataStoreOptions metadata_options;
  metadata_options.dir = config.cache.dir;
  // A twentieth of the cache: what is known of objects counts against its size, too.
  metadata_options.max_entries =
      std::clamp<uint64_t>(config.cache.size_limit / 4096, 1000, metadata_options.max_entries);
  metadata_options.max_queued_entries =
      std::min<size_t>(metadata_options.max_queued_entries, metadata_options.max_entries);
  auto metadata = DiskMetadataStore::Open(std::move(metadata_options), clock_);
  if (metadata) {
    disk_metadata_ = metadata->get();
    metadata_ = std::move(*metadata);
  } else {
    metadata_ = std::make_unique<LostMetadataStore>();
    log::Warning("what is known of objects will not outlast this mount, nor is what was known before: {}",
                 metadata.error().message);
  }
  return {};
}

Result<void> RunningGraph::AddLayers(const MountConfig& config, const std::string& mountpoint) {
  std::vector<OverlayLayer> layers;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerSpec& layer = config.layers[i];
    auto source = MakeSource(config, i, mountpoint);
    if (!source) return source.error();
    layers_status_.push_back(DescribeLayer(layer, (*source)->Describe()));
    layers.push_back({.spec = layer.text, .at = layer.at, .source = std::move(*source), .local = !layer.is_s3});
  }
  OverlayOptions options;
  options.on_outage = config.on_outage;
  overlay_ = std::make_unique<OverlaySource>(options, std::move(layers), metrics_);
  return {};
}

Result<std::unique_ptr<FileSource>> RunningGraph::MakeSource(const MountConfig& config, size_t index,
                                                             const std::string& mountpoint) {
  const LayerSpec& layer = config.layers[index];
  if (layer.is_s3) return MakeRemoteSource(config, index);
  return MakeLocalSource(config, layer, mountpoint);
}

Result<std::unique_ptr<FileSource>> RunningGraph::MakeLocalSource(const MountConfig& config, const LayerSpec& layer,
                                                                  const std::string& mountpoint) {
  LocalSourceOptions options;
  options.spec = layer.is_covered ? mountpoint : layer.directory;
  options.follow_links_out = config.local_follow;
  options.mountpoint = mountpoint;
  auto source = LocalSource::Open(std::move(options), layer.is_covered ? mountpoint : layer.directory);
  if (source) return std::unique_ptr<FileSource>(std::move(*source));
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = fmt::format("layer {}: {}", layer.text, source.error().message)};
}

std::unique_ptr<FileSource> RunningGraph::MakeRemoteSource(const MountConfig& config, size_t index) {
  const LayerSpec& layer = config.layers[index];
  const bool has_layer_behind = HasLayerBehind(config.layers, index);
  Connection& connection = ConnectionFor(config, layer);
  ObjectStore& store = connection.link->store();
  probe_targets_.push_back({.spec = layer.text, .store = &store, .bucket = layer.bucket, .prefix = layer.prefix});

  KeyCatalogOptions catalog_options;
  catalog_options.bucket = layer.bucket;
  catalog_options.prefix = layer.prefix;
  catalog_options.metadata_ttl = config.metadata_ttl;
  catalog_options.negative_ttl = config.negative_ttl;
  if (has_layer_behind) catalog_options.page_timeout = kPageTimeoutBeforeFallback;
  catalog_options.lane = connection.lane;
  catalogs_.push_back(
      std::make_unique<KeyCatalog>(std::move(catalog_options), store, clock_, metrics_, metadata_.get()));

  ObjectSourceOptions options;
  options.spec = layer.text;
  options.lane = connection.lane;
  options.max_retries = has_layer_behind ? kRetriesBeforeFallback : kRetries;
  options.metadata_ttl = config.metadata_ttl;
  return std::make_unique<ObjectSource>(std::move(options), *catalogs_.back(), store, *fetcher_, cache(), clock_);
}

RunningGraph::Connection& RunningGraph::ConnectionFor(const MountConfig& config, const LayerSpec& layer) {
  for (const auto& connection : connections_) {
    if (connection->Serves(layer)) return *connection;
  }
  const auto on_change = [this](bool available) {
    if (available) store_return_.Tell();
  };
  auto link = std::make_unique<StoreConnection>(
      StoreAccess{
          .store = layer.store, .environment = config.environment, .reload_environment = config.reload_environment},
      layer.bucket, on_change, clock_, metrics_);
  connections_.push_back(std::make_unique<Connection>(Connection{.config = layer.store,
                                                                 .bucket = layer.bucket,
                                                                 .lane = static_cast<int>(connections_.size()),
                                                                 .link = std::move(link)}));
  return *connections_.back();
}

std::vector<QueueLength> RunningGraph::GetQueues() const {
  std::vector<QueueLength> queues = fetcher_->GetQueues();
  for (const auto& catalog : catalogs_) queues.push_back(catalog->GetQueue());
  if (cache_ != nullptr) std::ranges::move(cache_->GetQueues(), std::back_inserter(queues));
  if (disk_metadata_ != nullptr) queues.push_back(disk_metadata_->GetQueue());
  return queues;
}

StatusList RunningGraph::GetEndpoints() const {
  StatusList endpoints;
  for (const auto& connection : connections_) {
    StatusObject status = connection->link->GetStatus();
    status.push_back({"bucket", {connection->bucket}});
    endpoints.push_back({std::move(status)});
  }
  return endpoints;
}

}  // namespace s3overlay
