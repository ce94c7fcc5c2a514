// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "app/exit_code.h"
#include "cli/help_formatter.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

struct CommandRow {
  std::string_view name;
  void (*add)(CLI::App& root, Action& action);
};

constexpr std::array<CommandRow, 7> kCommands = {{{"mount", AddMountCommand},
                                                  {"umount", AddUmountCommand},
                                                  {"resolve", AddResolveCommand},
                                                  {"cat", AddCatCommand},
                                                  {"ls", AddLsCommand},
                                                  {"status", AddStatusCommand},
                                                  {"cache", AddCacheCommand}}};

constexpr const char* kFooter =
    "Examples:\n"
    "  s3overlay mount s3://bucket/datasets /data/datasets    S3 first, then the files that are there already\n"
    "  s3overlay resolve /data/datasets/a.jsonl               which source serves it, and why\n"
    "  s3overlay umount /data/datasets\n\n"
    "Credentials: OVH_S3_ACCESS_KEY and OVH_S3_SECRET_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.\n"
    "Exit codes: 0 done; 1 error; 2 usage or configuration; 4 not found; 5 temporary, try again; 7 denied.\n"
    "Each command explains itself: s3overlay COMMAND --help";

bool IsCommand(std::string_view word) {
  return std::any_of(kCommands.begin(), kCommands.end(), [&](const CommandRow& row) { return row.name == word; });
}

int ReportUsage(std::string_view message, std::string_view command) {
  fmt::print(stderr, "s3overlay: {}\nSee: s3overlay {}{}--help\n", EscapeControlCharacters(message), command,
             command.empty() ? "" : " ");
  return kExitUsage;
}

// The command that was being read when parsing ended, for the hint ("cache stats").
std::string CommandName(const CLI::App& root) {
  std::string name;
  for (const CLI::App* app = &root; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    name += (name.empty() ? "" : " ") + app->get_name();
  }
  return name;
}

int ParseAndRun(int argc, const char* const* argv) {
  Action action;
  CLI::App root("Files of S3 over local ones: every path is read from its S3 object, else from the local file.");
  SetUpHelp(root, "s3overlay COMMAND [ARGUMENTS]", kFooter);
  root.set_version_flag("--version", "s3overlay " S3OVERLAY_VERSION, "Print the version");
  for (const CommandRow& row : kCommands) row.add(root, action);
  if (argc < 2) return ReportUsage("a command is missing", "");
  if (argv[1][0] != '-' && !IsCommand(argv[1])) {
    return ReportUsage(fmt::format("there is no command '{}'", argv[1]), "");
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return root.exit(asked) == 0 ? kExitOk : kExitError;
  } catch (const CLI::ParseError& error) {
    return ReportUsage(error.what(), CommandName(root));
  }
  return action ? action() : ReportUsage("a command is missing", CommandName(root));
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv) {
  try {
    return ParseAndRun(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "s3overlay: %s\n", error.what());
    return kExitError;
  }
}

}  // namespace s3overlay
