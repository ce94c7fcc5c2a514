// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "fuzz/targets.h"
#include "s3/wire_format.h"

namespace s3overlay::fuzz {
namespace {

bool IsClean(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c != '"' && c != 0x7f && (c < 0 || c >= 0x20); });
}

void CheckPage(const ListPage& page, const ListRequest& request) {
  for (const ObjectMetadata& object : page.objects) {
    S3OVERLAY_FUZZ_CHECK(object.id.key.starts_with(request.prefix));
    S3OVERLAY_FUZZ_CHECK(object.id.size <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    S3OVERLAY_FUZZ_CHECK(IsClean(object.id.etag));
  }
  for (const std::string& prefix : page.common_prefixes) {
    S3OVERLAY_FUZZ_CHECK(prefix.size() > request.prefix.size() && prefix.starts_with(request.prefix));
    S3OVERLAY_FUZZ_CHECK(prefix.ends_with(request.delimiter));
  }
  S3OVERLAY_FUZZ_CHECK(page.truncated != page.next_token.empty());
}

}  // namespace

void FuzzXml(std::string_view input) {
  for (const char* prefix : {"", "p/"}) {
    ListRequest request;
    request.bucket = "b";
    request.prefix = prefix;
    request.delimiter = "/";
    const Result<ListPage> page = s3::ParseListPage(input, request, "https://store");
    if (page) CheckPage(*page, request);
    S3OVERLAY_FUZZ_CHECK(page || page.error().code == ErrorCode::kBadResponse);
  }
  const HttpResponse response{404, {}};
  const s3::Failure failure = s3::FailureOfAnswer({.response = response, .body = input, .subject = "GET s3://b/k"});
  const auto document = s3::ParseErrorDocument(input);
  S3OVERLAY_FUZZ_CHECK(failure.error.code != ErrorCode::kNotFound || document->code.starts_with("NoSuch"));
  S3OVERLAY_FUZZ_CHECK(failure.error.message.size() < 4096);
}

}  // namespace s3overlay::fuzz
