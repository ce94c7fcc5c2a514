// SPDX-License-Identifier: Apache-2.0
//
// Where a bucket is found: https://endpoint/bucket/key (path) or https://bucket.endpoint/key (virtual).
//
// Source: S3 user guide, "Virtual hosting of general purpose buckets".
#pragma once

#include <string>
#include <string_view>

#include "s3overlay/result.h"

namespace s3overlay {

enum class Addressing {
  kAuto,     // Virtual for amazonaws.com and bucket names that are one host label; path for everything else.
  kPath,     // Works with every store but new AWS regions.
  kVirtual,  // For stores that insist on it; the bucket's name must be a host name.
};

// Scheme, host and port in one spelling: lower case, https:// where there was no scheme, default ports dropped, no
// trailing slash. kInvalidArgument, with advice, for a path, a query, a user or anything that is no host.
Result<std::string> NormalizeEndpoint(std::string_view text);

namespace s3 {

// The URL of `key`, or of the bucket itself when `key` is empty; no query. `endpoint` is normalised. kInvalidArgument
// where the bucket has no place there.
Result<std::string> ObjectUrl(std::string_view endpoint, Addressing addressing, std::string_view bucket,
                              std::string_view key);

}  // namespace s3
}  // namespace s3overlay
