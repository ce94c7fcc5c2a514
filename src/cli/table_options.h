// SPDX-License-Identifier: Apache-2.0
//
// The options of config's table as flags of a command.
#pragma once

#include "config/option_table.h"

namespace CLI {
class App;
}

namespace s3overlay {

enum class OptionSet { kMount, kTools };

void AddTableOptions(CLI::App& app, OptionSet set);

// Those that were given, after parsing.
Settings GivenOptions(const CLI::App& app, OptionSet set);

}  // namespace s3overlay
