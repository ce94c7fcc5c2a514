// SPDX-License-Identifier: Apache-2.0
#include "app/mount_control.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>

namespace s3overlay {
namespace {

// Smaller objects stay with the daemon: for them passthrough costs more than it saves.
constexpr uint64_t kPassthroughFrom = uint64_t{1} << 20;

uint64_t PeakMemory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

bool WouldPassThrough(const Entry& entry, const CacheShare& cache) {
  if (entry.attributes.type != FileType::kRegular) return false;
  return !entry.immutable || (cache.complete && entry.attributes.size > kPassthroughFrom);
}

LayerAnswer ToAnswer(LayerVerdict verdict) {
  return {.spec = std::move(verdict.spec),
          .answer = std::move(verdict.answer),
          .error = std::move(verdict.error),
          .age_s = verdict.age_s};
}

}  // namespace

RunningMount::RunningMount(RunningMountOptions options, RunningGraph& graph, const FuseSession& session)
    : options_(std::move(options)), started_at_(graph.clock().Now()), graph_(graph), session_(session) {}

StatusObject RunningMount::GetStatus() {
  const std::chrono::duration<double> uptime = graph_.clock().Now() - started_at_;
  return {{"version", {std::string(S3OVERLAY_VERSION)}},
          {"pid", {int64_t{::getpid()}}},
          {"mountpoint", {options_.mountpoint}},
          {"uptime_s", {uptime.count()}},
          {"ready", {true}},
          {"fuse", {session_.GetStatus()}},
          {"layers", {graph_.GetLayers()}},
          {"endpoints", {graph_.GetEndpoints()}},
          {"cache", CacheStatus()},
          {"memory", MemoryStatus()},
          {"queues", QueueStatus()},
          {"reads", ReadStatus()},
          {"requests", RequestStatus()},
          {"keys_hidden", Counted(Metric::kKeysHidden)},
          {"metrics", MetricsStatus()}};
}

StatusValue RunningMount::CacheStatus() {
  if (graph_.cache() == nullptr) return {};
  const BlockCacheStats stats = graph_.cache()->GetStats();
  return {StatusObject{{"dir", {stats.dir}},
                       {"bytes", {stats.bytes}},
                       {"size_limit", {stats.size_limit}},
                       {"objects", {stats.objects}},
                       {"complete_objects", {stats.complete_objects}},
                       {"hits", {stats.hits}},
                       {"misses", {stats.misses}},
                       {"evictions", {stats.evictions}},
                       {"checksum_failures", {stats.checksum_failures}},
                       {"dropped_writes", {stats.dropped_writes}},
                       {"clean_stop", {stats.clean_stop}}}};
}

StatusValue RunningMount::MemoryStatus() const {
  return {
      StatusObject{{"limit", {options_.memory_limit}}, {"used", {graph_.memory_used()}}, {"peak_rss", {PeakMemory()}}}};
}

StatusValue RunningMount::QueueStatus() const {
  std::vector<QueueLength> all = session_.GetQueues();
  std::ranges::move(graph_.GetQueues(), std::back_inserter(all));
  StatusList queues;
  for (const QueueLength& queue : all) {
    queues.push_back({StatusObject{
        {"name", {queue.name}}, {"unit", {queue.unit}}, {"length", {queue.length}}, {"limit", {queue.limit}}}});
  }
  return {std::move(queues)};
}

StatusValue RunningMount::ReadStatus() const {
  StatusObject s3 = {{"fresh", Counted(Metric::kReadS3Fresh)},
                     {"fallback", Counted(Metric::kReadS3Fallback)},
                     {"degraded", Counted(Metric::kReadS3Degraded)},
                     {"stale", Counted(Metric::kReadS3Stale)}};
  StatusObject local = {{"fresh", Counted(Metric::kReadLocalFresh)},
                        {"fallback", Counted(Metric::kReadLocalFallback)},
                        {"degraded", Counted(Metric::kReadLocalDegraded)},
                        {"stale", Counted(Metric::kReadLocalStale)}};
  StatusObject opens = {{"fresh", Counted(Metric::kOpensFresh)},
                        {"fallback", Counted(Metric::kOpensFallback)},
                        {"degraded", Counted(Metric::kOpensDegraded)},
                        {"stale", Counted(Metric::kOpensStale)},
                        {"passthrough", Counted(Metric::kOpensPassthrough)}};
  return {StatusObject{{"s3_bytes", {std::move(s3)}},
                       {"local_bytes", {std::move(local)}},
                       {"cache_bytes", Counted(Metric::kReadCache)},
                       {"errors", Counted(Metric::kReadErrors)},
                       {"listings_degraded", Counted(Metric::kListingsDegraded)},
                       {"opens", {std::move(opens)}}}};
}

StatusValue RunningMount::RequestStatus() const {
  return {StatusObject{{"heads", Counted(Metric::kS3Heads)},
                       {"gets", Counted(Metric::kS3Gets)},
                       {"lists", Counted(Metric::kS3Lists)},
                       {"retries", Counted(Metric::kS3Retries)},
                       {"errors", Counted(Metric::kS3Errors)},
                       {"bad_responses", Counted(Metric::kS3BadResponses)},
                       {"received_bytes", Counted(Metric::kS3BytesReceived)},
                       {"breaker_opened", Counted(Metric::kBreakerOpened)}}};
}

StatusValue RunningMount::MetricsStatus() const {
  StatusObject metrics;
  for (size_t i = 0; i < static_cast<size_t>(Metric::kCount); ++i) {
    const auto metric = static_cast<Metric>(i);
    metrics.emplace_back(Describe(metric).name, Counted(metric));
  }
  return {std::move(metrics)};
}

Result<Resolution> RunningMount::Resolve(std::string_view path, const CallContext& context) {
  auto explanation = graph_.overlay().Explain(path, context);
  if (!explanation) return explanation.error();
  Resolution resolution;
  resolution.path = path;
  resolution.mountpoint = options_.mountpoint;
  resolution.entry = std::move(explanation->entry);
  resolution.cache = graph_.overlay().GetCacheShare(resolution.entry);
  resolution.passthrough = session_.passthrough_on() && WouldPassThrough(resolution.entry, resolution.cache);
  for (LayerVerdict& verdict : explanation->layers) resolution.layers.push_back(ToAnswer(std::move(verdict)));
  return resolution;
}

Result<BlockCache*> RunningMount::Cache() {
  if (graph_.cache() != nullptr) return graph_.cache();
  return Error{.code = ErrorCode::kNotFound,
               .message = "no cache there: " + options_.mountpoint + " is mounted with --no-cache"};
}

Result<BlockCacheStats> RunningMount::GetCacheStats() {
  const auto cache = Cache();
  if (!cache) return cache.error();
  return (*cache)->GetStats();
}

Result<void> RunningMount::ClearCache() {
  const auto cache = Cache();
  if (!cache) return cache.error();
  (*cache)->Clear();
  return {};
}

Result<CacheVerifyReport> RunningMount::VerifyCache(const CallContext& context) {
  const auto cache = Cache();
  if (!cache) return cache.error();
  return (*cache)->Verify(context);
}

}  // namespace s3overlay
