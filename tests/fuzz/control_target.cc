// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "control/documents.h"
#include "control/json_codec.h"
#include "fuzz/targets.h"

namespace s3overlay::fuzz {
namespace {

void CheckRequest(std::string_view line) {
  const Result<ControlRequest> request = DecodeRequest(line);
  if (!request) {
    S3OVERLAY_FUZZ_CHECK(request.error().code == ErrorCode::kInvalidArgument);
    return;
  }
  const Result<ControlRequest> again = DecodeRequest(EncodeRequest(*request));
  S3OVERLAY_FUZZ_CHECK(again && again->call == request->call && again->path == request->path);
}

// What was decoded says the same once it was sent again, and can be printed.
template <typename T, typename Decode, typename ToText>
void CheckAnswer(std::string_view line, Decode decode, ToText to_text) {
  const Result<T> answer = decode(line);
  if (!answer) return;
  const std::string sent = EncodeAnswer(answer);
  const Result<T> again = decode(sent);
  S3OVERLAY_FUZZ_CHECK(again);
  S3OVERLAY_FUZZ_CHECK(EncodeAnswer(again) == sent);
  (void)to_text(*answer);
}

}  // namespace

void FuzzControl(std::string_view input) {
  CheckRequest(input);
  (void)DecodeDone(input);
  CheckAnswer<StatusObject>(input, DecodeStatus, [](const auto& v) { return StatusToText(v) + StatusToJson(v); });
  CheckAnswer<Resolution>(input, DecodeResolution,
                          [](const auto& v) { return ResolutionToText(v) + ResolutionToJson(v); });
  CheckAnswer<BlockCacheStats>(input, DecodeCacheStats,
                               [](const auto& v) { return CacheStatsToText(v) + CacheStatsToJson(v); });
  CheckAnswer<CacheVerifyReport>(input, DecodeVerifyReport,
                                 [](const auto& v) { return VerifyReportToText(v) + VerifyReportToJson(v); });
}

}  // namespace s3overlay::fuzz
