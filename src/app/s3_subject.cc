// SPDX-License-Identifier: Apache-2.0
#include "app/s3_subject.h"

#include <fmt/format.h>

#include <string_view>

#include "s3overlay/redact.h"

namespace s3overlay {

Result<S3Subject> ParseS3Subject(const std::string& text) {
  constexpr std::string_view kScheme = "s3://";
  if (!text.starts_with(kScheme) || text.size() == kScheme.size() || text[kScheme.size()] == '/') {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = fmt::format("'{}' is no S3 address: s3://BUCKET/KEY is one", RedactUrl(text))};
  }
  const std::string rest = text.substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash == std::string::npos) return S3Subject{.bucket = rest, .key = {}};
  return S3Subject{.bucket = rest.substr(0, slash), .key = rest.substr(slash + 1)};
}

}  // namespace s3overlay
