// SPDX-License-Identifier: Apache-2.0
#include "app/s3_subject.h"

#include <fmt/format.h>

#include <utility>

#include "config/layer_spec.h"
#include "s3overlay/redact.h"

namespace s3overlay {

Result<S3Subject> ParseS3Subject(const std::string& text) {
  auto uri = ParseS3Uri(text);
  if (!uri) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = fmt::format("'{}' is no S3 address: s3://BUCKET/KEY is one", RedactUrl(text))};
  }
  return S3Subject{.bucket = std::move(uri->bucket), .key = std::move(uri->key)};
}

}  // namespace s3overlay
