// SPDX-License-Identifier: Apache-2.0
//
// S3Subject: an object or a prefix that the user names without a mount.
#pragma once

#include <string>

#include "config/mount_config.h"
#include "s3overlay/result.h"

namespace s3overlay {

struct S3Subject {
  std::string bucket;
  std::string key;  // As it is in the store; may be empty.

  std::string Text() const { return "s3://" + bucket + (key.empty() ? "" : "/" + key); }
};

// An address and no path. Those of the web are here so that ParseS3Subject refuses them: as the name of a file, they
// would be repeated in messages with the signature in them.
inline bool IsS3Text(const std::string& text) {
  return text.starts_with("s3://") || text.starts_with("https://") || text.starts_with("http://");
}

// "s3://bucket[/key]". kInvalidArgument, with no secret of a URL in the message.
Result<S3Subject> ParseS3Subject(const std::string& text);

}  // namespace s3overlay
