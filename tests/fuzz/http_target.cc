// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fuzz/targets.h"
#include "http/reception.h"
#include "s3/response_check.h"
#include "s3/wire_format.h"

namespace s3overlay::fuzz {
namespace {

// The lines of a head, as curl hands them on; the rest is a body.
std::optional<HttpResponse> Receive(std::string_view& input) {
  const HttpSink sink;
  Reception reception(sink);
  while (!input.empty() && !reception.is_announced()) {
    const size_t end = std::min(input.find('\n'), input.size() - 1) + 1;
    if (!reception.TakeHeaderLine(input.substr(0, end))) return std::nullopt;
    input.remove_prefix(end);
  }
  if (!reception.is_announced()) return std::nullopt;
  return reception.TakeResponse();
}

void CheckObject(const Result<ObjectMetadata>& object) {
  if (!object) return;
  const ObjectId& id = object->id;
  S3OVERLAY_FUZZ_CHECK(s3::UnquoteEtag(id.etag).has_value());
  S3OVERLAY_FUZZ_CHECK(id.version_id.size() <= 1024 && object->storage_class.size() <= 64);
}

void CheckRange(const HttpResponse& response, const ObjectId& pinned) {
  const ByteRange part{2, 4};
  if (!s3::CheckRangeAnswer(response, pinned, part)) return;
  // Whatever passes carries exactly this part, of this size, and names no other version.
  S3OVERLAY_FUZZ_CHECK(response.status == 206);
  const auto range = s3::ParseContentRange(*response.FindHeader("Content-Range"));
  S3OVERLAY_FUZZ_CHECK(range && range->range == part && range->total == pinned.size);
  const std::string* const etag = response.FindHeader("ETag");
  S3OVERLAY_FUZZ_CHECK(etag == nullptr || etag->empty() || etag->find(pinned.etag) != std::string::npos ||
                       s3::UnquoteEtag(*etag)->empty() || pinned.etag.starts_with("W/"));
}

}  // namespace

void FuzzHttp(std::string_view input) {
  const std::optional<HttpResponse> response = Receive(input);
  if (!response) return;
  S3OVERLAY_FUZZ_CHECK(response->status >= 200);
  ObjectId pinned{.store = "s", .bucket = "b", .key = "k", .etag = "abc", .size = 10, .version_id = {}};
  CheckRange(*response, pinned);
  pinned.etag = "W/abc";
  CheckRange(*response, pinned);
  CheckObject(s3::ReadHeadAnswer(*response, pinned));
  if (response->status < 300) return;
  for (const bool has_body : {true, false}) {
    (void)s3::FailureOfAnswer({.response = *response,
                               .body = has_body ? input : std::string_view(),
                               .subject = "GET s3://b/k",
                               .has_body = has_body,
                               .now = WallTime(std::chrono::seconds(1'800'000'000))});
  }
}

}  // namespace s3overlay::fuzz
