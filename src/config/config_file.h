// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: TOML with the options' names as keys ('_' for '-' is fine), and [[layer]] tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/option_table.h"
#include "s3overlay/result.h"

namespace s3overlay {

// One [[layer]]. What is empty is taken from the settings of the whole.
struct LayerTable {
  std::string spec;
  std::string at;
  std::string endpoint;
  std::string region;
  std::string addressing;
  std::string origin;  // "mount.toml:4"
};

struct ConfigFile {
  Settings settings;
  std::vector<LayerTable> layers;
};

// kInvalidArgument, with `name` and the line, for what is no TOML, for unknown keys and for values of a wrong type.
Result<ConfigFile> ParseConfigFile(std::string_view text, const std::string& name);

}  // namespace s3overlay
