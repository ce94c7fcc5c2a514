// SPDX-License-Identifier: Apache-2.0
//
// What `status`, `resolve`, `cache stats` and `cache verify` print: JSON documents for programs (field names and units:
// docs of the command line; every one has "schema": 1, bytes are integers, seconds end in _s, times are RFC 3339), and
// text for people. Every document ends with a line break. No text from outside (a key, a path, an error) can break a
// document or steer a terminal: bytes that are no UTF-8 are replaced in JSON and escaped in text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "s3overlay/block_cache.h"
#include "s3overlay/control.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

// The process that has the cache directory open.
struct CacheOwner {
  int64_t pid = 0;
  std::string mountpoint;
};

// Of cache statistics without an owner, the limits are left out (JSON: null): each mount brings its own.
std::string StatusToJson(const StatusObject& status);
std::string ResolutionToJson(const Resolution& resolution);
std::string CacheStatsToJson(const BlockCacheStats& stats, const std::optional<CacheOwner>& owner = std::nullopt);
std::string VerifyReportToJson(const CacheVerifyReport& report);

// Without `metrics`, which are for programs: what people want to know of them has its place among the other fields.
std::string StatusToText(const StatusObject& status);
std::string ResolutionToText(const Resolution& resolution);
std::string CacheStatsToText(const BlockCacheStats& stats, const std::optional<CacheOwner>& owner = std::nullopt);
std::string VerifyReportToText(const CacheVerifyReport& report);

// "2026-07-01T12:34:56Z"; fractions of a second are cut off.
std::string FormatTime(WallTime time);

// "17 B", "1.5 KiB", "100.0 GiB".
std::string FormatBytes(uint64_t bytes);

}  // namespace s3overlay
