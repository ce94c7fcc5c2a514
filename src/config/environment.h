// SPDX-License-Identifier: Apache-2.0
//
// The environment that settings and credentials are taken from: that of the process, and beneath it --env-file.
#pragma once

#include <string>
#include <string_view>

#include "config/mount_config.h"
#include "s3overlay/result.h"

namespace s3overlay {

Environment ProcessEnvironment();

// Lines KEY=VALUE, with or without `export` before them; empty lines and lines that start with '#' are skipped. A value
// may stand in single quotes (taken as it is) or double ones (where \" \\ \$ \` lose their backslash); unquoted, it
// ends at " #". Nothing is expanded. A line that is none of these is kInvalidArgument with `name` and its number, and
// without its text, which may be a secret.
Result<Environment> ParseEnvFile(std::string_view text, std::string_view name);

// The same of a file; kInvalidArgument where it cannot be read.
Result<Environment> ReadEnvFile(const std::string& path);

// What the process has, and beneath it the variables of --env-file one by one; but of the file's keys all or none:
// where the process has any key of either family (OVH_S3_*, AWS_*), the file's would join it to another's, or go before
// it. A variable that is set to nothing counts as not there.
Environment MergeEnvFile(Environment process, const Environment& file);

// The value, or "" where it is not set.
std::string ValueOf(const Environment& environment, const std::string& name);

// The whole of a small text file (1 MiB at most). kInvalidArgument, with the path, where that fails: what a user names
// and what cannot be read is a wrong setting.
Result<std::string> ReadTextFile(const std::string& path);

}  // namespace s3overlay
