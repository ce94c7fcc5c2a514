// SPDX-License-Identifier: Apache-2.0
#include "cli/table_options.h"

#include <CLI/CLI.hpp>
#include <string>

namespace s3overlay {
namespace {

std::string FlagOf(const OptionRow& row) { return "--" + std::string(row.name); }

bool IsIn(const OptionRow& row, OptionSet set) { return set == OptionSet::kMount || row.for_tools; }

}  // namespace

void AddTableOptions(CLI::App& app, OptionSet set) {
  for (const OptionRow& row : OptionTable()) {
    if (!IsIn(row, set)) continue;
    const std::string letter = row.letter == 0 ? "" : std::string("-") + row.letter + ",";
    const std::string names = letter + FlagOf(row);
    CLI::Option* const option = row.kind == OptionKind::kSwitch ? app.add_flag(names) : app.add_option(names);
    option->description(std::string(row.help))->group(std::string(row.group));
    option->type_name(std::string(row.value_name));
    // Every one that is given is seen here, and exactly one word belongs to each: the next may be the mountpoint.
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    if (row.kind != OptionKind::kSwitch) option->allow_extra_args(false);
  }
}

Settings GivenOptions(const CLI::App& app, OptionSet set) {
  Settings given;
  for (const OptionRow& row : OptionTable()) {
    if (!IsIn(row, set)) continue;
    const CLI::Option* const option = app.get_option(FlagOf(row));
    if (option->count() == 0) continue;
    Setting setting{option->results(), FlagOf(row)};
    if (row.kind != OptionKind::kList) setting.values = {setting.values.back()};
    given.emplace(row.name, std::move(setting));
  }
  return given;
}

}  // namespace s3overlay
