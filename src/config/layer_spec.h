// SPDX-License-Identifier: Apache-2.0
//
// What --layer takes: [SUBPATH=]SPEC, where SPEC is s3://bucket[/prefix] or a local directory.
#pragma once

#include <string>
#include <string_view>

#include "config/mount_config.h"
#include "s3overlay/result.h"

namespace s3overlay {

// An argument that starts with s3://, /, ./ or ../ is never split at '=': keys and directories hold '=' too. Fails with
// kInvalidArgument. The store of an S3 layer is left to the caller.
Result<LayerSpec> ParseLayerSpec(std::string_view text);

// s3://bucket/key taken apart, for the tools. The key is kept byte for byte and may be empty.
struct S3Uri {
  std::string bucket;
  std::string key;
};
bool IsS3Uri(std::string_view text);
Result<S3Uri> ParseS3Uri(std::string_view text);

// A path below the mountpoint without slashes at its ends; kInvalidArgument for "..", "." and empty components.
Result<std::string> ParseSubPath(std::string_view text);

// Absolute by its text alone, without "." and "..", without a slash at its end.
std::string AbsolutePath(std::string_view path);

}  // namespace s3overlay
