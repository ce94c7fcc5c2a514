// SPDX-License-Identifier: Apache-2.0
//
// What a command prints, and what it does with a Result.
#pragma once

#include <functional>
#include <string_view>

#include "config/mount_config.h"
#include "config/option_table.h"

namespace s3overlay {

// Writes to standard output; returns the exit code, which is 1 where that failed (a full disk).
int PrintOut(std::string_view text);

// Runs `action` with the configuration of a tool, or reports why there is none. The log goes to standard error.
int RunTool(const Settings& options, const std::function<int(const MountConfig&)>& action);

}  // namespace s3overlay
