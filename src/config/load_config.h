// SPDX-License-Identifier: Apache-2.0
//
// From what the user typed, the environment and the configuration file to a checked MountConfig. Precedence: flag,
// S3OVERLAY_<OPTION> in the environment, configuration file, default. Every failure is kInvalidArgument and says which
// setting of which place is wrong, and what would be right.
#pragma once

#include <string>

#include "config/mount_config.h"
#include "config/option_table.h"
#include "s3overlay/result.h"

namespace s3overlay {

// What the command line gave. Of its options, those of OptionTable() by their names; origin: the flag.
struct CommandLine {
  Settings options;
  std::string short_spec;  // The SPEC of `mount SPEC MOUNTPOINT`; empty: none.
  std::string mountpoint;  // As it was typed.
};

// Of `mount`. With a short spec, and with no layer at all where the environment names a bucket, the covered directory
// is the last layer.
Result<MountConfig> LoadMountConfig(const CommandLine& line, Environment process_environment);

// Of the commands that need no mount: store, credentials, bucket and time-outs only.
Result<MountConfig> LoadToolConfig(const Settings& options, Environment process_environment);

}  // namespace s3overlay
