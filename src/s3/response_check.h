// SPDX-License-Identifier: Apache-2.0
//
// Whether an answer with a good status is the answer to what was asked. Runs before any byte of a body counts.
//
// Sources: S3 API reference, GetObject and HeadObject; RFC 9110 sections 14.4 (Content-Range) and 15.3.7 (206).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "s3overlay/byte_range.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

struct ContentRange {
  ByteRange range;
  uint64_t total = 0;
};

// "bytes 0-9/20" and nothing else: a total of '*' would leave the version open.
std::optional<ContentRange> ParseContentRange(std::string_view text);

// Whether `response` carries exactly `asked` of `pinned`. kVersionGone when it is of another version, kBadResponse when
// it is something else.
Result<void> CheckRangeAnswer(const HttpResponse& response, const ObjectId& pinned, const ByteRange& asked);

// The id under which the store keeps the version that it answers with; empty where it has none.
std::string VersionIdOf(const HttpResponse& response);

// The metadata in a HEAD's answer. `named` holds store, bucket and key. kBadResponse without a size, or with nothing
// that could tell this version from the next.
Result<ObjectMetadata> ReadHeadAnswer(const HttpResponse& response, ObjectId named);

}  // namespace s3overlay::s3
