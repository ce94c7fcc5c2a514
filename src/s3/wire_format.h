// SPDX-License-Identifier: Apache-2.0
//
// What S3 writes: its XML, its error documents and its headers, turned into the house's own types. Nothing here trusts
// the sender: an answer that is not wholly what S3 would write is kBadResponse.
//
// Sources: S3 API reference, ListObjectsV2, "Error responses"; RFC 9110 sections 8.8.3 (ETag) and 10.2.3 (Retry-After).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "s3/failure.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

// Each text is cut where it is longer than people read.
struct ErrorDocument {
  std::string code;  // Never empty.
  std::string message;
  std::string region;    // Where the bucket is, if the store says so.
  std::string endpoint;  // The same as a host.
};

// Nothing where `body` is no S3 error document (a proxy's HTML, a cut answer).
std::optional<ErrorDocument> ParseErrorDocument(std::string_view body);

// Decimal digits only, at most 2^63 - 1: sizes become off_t.
std::optional<uint64_t> ParseSize(std::string_view text);

// Without its quotes, "W/" kept. Nothing where it holds what no header may hold, or more than 1 KiB.
std::optional<std::string> UnquoteEtag(std::string_view text);

// The form for If-Match.
std::string QuoteEtag(std::string_view etag);

// A page of ListObjectsV2, held to `request`: names outside the prefix, sizes that are none, a truncated page with no
// way on, a field that stands there twice and anything unreadable are kBadResponse. `store` becomes ObjectId::store.
Result<ListPage> ParseListPage(std::string_view body, const ListRequest& request, std::string_view store);

// One answer with a status of 300 and above.
struct RefusedRequest {
  const HttpResponse& response;
  std::string_view body;     // Empty for HEAD.
  std::string_view subject;  // "GET s3://bucket/key", for the message.
  bool has_body = true;      // False for HEAD: then the status alone speaks.
  WallTime now{};            // For a Retry-After that is a date.
};
Failure FailureOfAnswer(const RefusedRequest& refused);

}  // namespace s3overlay::s3
