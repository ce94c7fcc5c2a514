// SPDX-License-Identifier: Apache-2.0
//
// JSON forms that the wire and the documents share.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "s3overlay/block_cache.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

using Json = nlohmann::ordered_json;  // Keeps the order in which fields are shown.

Json ToJson(const StatusValue& value);
Json ToJson(const StatusObject& object);
Json ToJson(const CacheVerifyReport& report);

// Calls visit(name, field) for every field of the statistics, in the order in which they are shown.
template <typename Stats, typename Visitor>
void VisitCacheStats(Stats& stats, Visitor visit) {
  visit("dir", stats.dir);
  visit("format", stats.format);
  visit("block_size", stats.block_size);
  visit("size_limit", stats.size_limit);
  visit("min_free", stats.min_free);
  visit("bytes", stats.bytes);
  visit("index_bytes", stats.index_bytes);
  visit("objects", stats.objects);
  visit("complete_objects", stats.complete_objects);
  visit("blocks", stats.blocks);
  visit("hits", stats.hits);
  visit("misses", stats.misses);
  visit("evictions", stats.evictions);
  visit("checksum_failures", stats.checksum_failures);
  visit("dropped_writes", stats.dropped_writes);
  visit("clean_stop", stats.clean_stop);
}

template <typename Report, typename Visitor>
void VisitVerifyReport(Report& report, Visitor visit) {
  visit("objects", report.objects);
  visit("blocks", report.blocks);
  visit("damaged_blocks", report.damaged_blocks);
  visit("damaged_files", report.damaged_files);
}

}  // namespace s3overlay
