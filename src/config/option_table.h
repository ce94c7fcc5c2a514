// SPDX-License-Identifier: Apache-2.0
//
// The table of options: one row each, from which the flags, the names in the environment (S3OVERLAY_CACHE_SIZE), the
// keys of the configuration file (cache-size) and the help come. A new option is a row in option_table.cc and a field
// of MountConfig.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/mount_config.h"
#include "config/values.h"
#include "s3overlay/result.h"

namespace s3overlay {

enum class OptionKind {
  kValue,   // Takes one value; the last one counts.
  kList,    // Takes one value, and may be given again.
  kSwitch,  // On the command line it stands alone; elsewhere it is true or false.
};

// What is made of the options before the defaults are known that hang on others of them, and on the machine.
struct ConfigDraft {
  MountConfig config;
  std::vector<LayerSpec> layers;
  std::string cache_dir;
  std::optional<uint64_t> cache_size;
  std::optional<SizeOrPercent> cache_min_free;
  std::optional<uint64_t> memory_limit;
  std::string endpoint;
  std::string region;
};

struct OptionRow {
  std::string_view name;  // "cache-size"
  OptionKind kind = OptionKind::kValue;
  std::string_view value_name;  // "SIZE"; empty for switches.
  std::string_view group;       // Heading in the help.
  std::string_view help;
  bool for_tools = false;  // Of the commands that need no mount, too.
  char letter = 0;         // "-o"
  Result<void> (*apply)(std::string_view text, ConfigDraft& draft) = nullptr;  // Null: read before all others.
};

std::span<const OptionRow> OptionTable();
const OptionRow* FindOption(std::string_view name);

// "S3OVERLAY_CACHE_SIZE" for "cache-size".
std::string EnvironmentName(std::string_view option);

// What one place says of an option.
struct Setting {
  std::vector<std::string> values;
  std::string origin;  // For messages: "--cache-size", "S3OVERLAY_CACHE_SIZE", "mount.toml:3: cache-size".
};
using Settings = std::map<std::string, Setting, std::less<>>;  // By the option's name.

// The options that the environment names. A variable that is set to nothing says nothing.
Settings SettingsOf(const Environment& environment);

// Applies the settings in the order of the table. The first failure, with its origin in the message.
Result<void> ApplySettings(const Settings& settings, ConfigDraft& draft);

}  // namespace s3overlay
