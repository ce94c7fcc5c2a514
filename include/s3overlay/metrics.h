// SPDX-License-Identifier: Apache-2.0
//
// The table of every metric: identifier, name, unit, meaning. Recording happens at a room's edge. Thread-safe, cheap.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace s3overlay {

// clang-format off
#define S3OVERLAY_METRICS(X)                                                                                             \
  X(kS3Heads,             "s3_head_requests",        "requests", "HEAD requests sent, retries included")                 \
  X(kS3Gets,              "s3_get_requests",         "requests", "GET object requests sent, retries included")           \
  X(kS3Lists,             "s3_list_requests",        "requests", "List requests sent, retries included")                 \
  X(kS3Retries,           "s3_retries",              "requests", "Requests that were sent again")                        \
  X(kS3Errors,            "s3_errors",               "requests", "Requests that failed in the end")                      \
  X(kS3BadResponses,      "s3_bad_responses",        "requests", "Answers refused: not what was asked for")              \
  X(kS3BytesReceived,     "s3_received",             "bytes",    "Object bytes received")                                \
  X(kBreakerOpened,       "breaker_opened",          "times",    "A store was taken to be away")                         \
  X(kReadS3Fresh,         "read_s3_fresh",           "bytes",    "Read by the daemon of S3 objects opened in state fresh") \
  X(kReadS3Fallback,      "read_s3_fallback",        "bytes",    "The same in state fallback")                           \
  X(kReadS3Degraded,      "read_s3_degraded",        "bytes",    "The same in state degraded")                           \
  X(kReadS3Stale,         "read_s3_stale",           "bytes",    "The same in state stale")                              \
  X(kReadLocalFresh,      "read_local_fresh",        "bytes",    "Read by the daemon of local files opened in state fresh") \
  X(kReadLocalFallback,   "read_local_fallback",     "bytes",    "The same in state fallback")                           \
  X(kReadLocalDegraded,   "read_local_degraded",     "bytes",    "The same in state degraded")                           \
  X(kReadLocalStale,      "read_local_stale",        "bytes",    "The same in state stale")                              \
  X(kReadCache,           "read_cache",              "bytes",    "Read by the daemon of S3 objects, out of the cache")    \
  X(kReadErrors,          "read_errors",             "reads",    "Reads that failed")                                    \
  X(kOpensFresh,          "opens_fresh",             "opens",    "Files opened in state fresh")                          \
  X(kOpensFallback,       "opens_fallback",          "opens",    "Files opened in state fallback")                       \
  X(kOpensDegraded,       "opens_degraded",          "opens",    "Files opened in state degraded")                       \
  X(kOpensStale,          "opens_stale",             "opens",    "Files opened in state stale")                          \
  X(kOpensPassthrough,    "opens_passthrough",       "opens",    "Opens whose reads go to the backing file in the kernel") \
  X(kListingsDegraded,    "listings_degraded",       "listings", "Directories listed while a layer could not list")      \
  X(kCacheHits,           "cache_hits",              "blocks",   "Block reads answered by the cache")                    \
  X(kCacheMisses,         "cache_misses",            "blocks",   "Block reads that the cache could not answer")          \
  X(kCacheWrites,         "cache_writes",            "blocks",   "Blocks written to the cache")                          \
  X(kCacheDroppedWrites,  "cache_dropped_writes",    "blocks",   "Blocks not kept: queue full, limit or disk error")     \
  X(kCacheEvictions,      "cache_evictions",         "blocks",   "Blocks dropped to keep to the limit")                  \
  X(kCacheChecksumErrors, "cache_checksum_failures", "blocks",   "Blocks found damaged and dropped")                     \
  X(kCacheIoErrors,       "cache_io_errors",         "errors",   "System calls of the cache that failed")                \
  X(kPrefetched,          "prefetched",              "bytes",    "Bytes fetched ahead of a reader")                      \
  X(kPrefetchUsed,        "prefetched_used",         "bytes",    "Of those, in blocks that a reader took or waited for") \
  X(kPrefetchWasted,      "prefetched_wasted",       "bytes",    "Of those, gone from memory unread")                    \
  X(kKeysHidden,          "keys_hidden",             "keys",     "Keys that cannot be shown as a path")
// clang-format on

enum class Metric : size_t {
#define S3OVERLAY_METRIC_ID(id, name, unit, help) id,
  S3OVERLAY_METRICS(S3OVERLAY_METRIC_ID)
#undef S3OVERLAY_METRIC_ID
      kCount,
};

struct MetricDescription {
  std::string_view name;
  std::string_view unit;
  std::string_view help;
};

const MetricDescription& Describe(Metric metric);

class Metrics {
 public:
  void Add(Metric metric, uint64_t amount = 1) {
    values_[static_cast<size_t>(metric)].fetch_add(amount, std::memory_order_relaxed);
  }
  uint64_t Get(Metric metric) const { return values_[static_cast<size_t>(metric)].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Metric::kCount)> values_{};
};

}  // namespace s3overlay
