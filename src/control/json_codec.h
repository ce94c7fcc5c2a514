// SPDX-License-Identifier: Apache-2.0
//
// The wire of the control socket: each message is one line of JSON.
//
//   request   {"call": "status" | "resolve" | "cache_stats" | "cache_clear" | "cache_verify",
//              "path": BYTES, "timeout_s": number}            path: resolve only; no timeout_s: as long as it takes
//   answer    {"ok": true, "result": ...}  or  {"ok": false, "error": {"code", "message", "errno"}}
//
// BYTES is a string where the bytes are UTF-8, else {"hex": "..."}: names survive whatever they hold. What a peer sends
// is never trusted: decoding fails with an Error and nothing else.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "s3overlay/control.h"
#include "s3overlay/result.h"

namespace s3overlay {

// A longer request line is refused.
constexpr size_t kMaxRequestBytes = 1024 * 1024;

struct ControlRequest {
  std::string call;
  std::string path;
  std::optional<double> timeout_s;
};

// Lines come without, and go with, the line break at their end. Decoding a request fails with kInvalidArgument,
// decoding an answer with the error that it carries, or kBadResponse.
std::string EncodeRequest(const ControlRequest& request);
Result<ControlRequest> DecodeRequest(std::string_view line);

std::string EncodeAnswer(const Result<void>& answer);
std::string EncodeAnswer(const Result<StatusObject>& answer);
std::string EncodeAnswer(const Result<Resolution>& answer);
std::string EncodeAnswer(const Result<BlockCacheStats>& answer);
std::string EncodeAnswer(const Result<CacheVerifyReport>& answer);

Result<void> DecodeDone(std::string_view line);
Result<StatusObject> DecodeStatus(std::string_view line);
Result<Resolution> DecodeResolution(std::string_view line);
Result<BlockCacheStats> DecodeCacheStats(std::string_view line);
Result<CacheVerifyReport> DecodeVerifyReport(std::string_view line);

}  // namespace s3overlay
