// SPDX-License-Identifier: Apache-2.0
//
// What has to be right before a mount is tried.
#pragma once

#include <string>

#include "s3overlay/result.h"

namespace s3overlay {

struct MountConfig;

// The mountpoint without links, ready to be mounted on: a dead mount of ours there is detached. kInvalidArgument where
// it is missing, no directory or already a live mount of ours, or where a path of the configuration lies below it.
Result<std::string> PrepareMountpoint(const MountConfig& config);

}  // namespace s3overlay
