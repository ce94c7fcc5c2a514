// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iterator>
#include <memory>
#include <string>

#include "app/exit_code.h"
#include "app/tools.h"
#include "cli/command.h"
#include "cli/help_formatter.h"
#include "cli/output.h"
#include "cli/table_options.h"
#include "control/documents.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr size_t kSizeWidth = 14;
constexpr size_t kTimeWidth = 20;

int List(const MountConfig& config, const std::string& spec) {
  const Result<std::vector<ListedName>> names = ListObjects(config, spec);
  if (!names) return ReportError(names.error());
  std::string text;
  for (const ListedName& name : *names) {
    const std::string size = name.is_directory ? "" : std::to_string(name.size);
    const std::string time = name.is_directory ? "" : FormatTime(name.last_modified);
    fmt::format_to(std::back_inserter(text), "{:>{}}  {:<{}}  {}\n", size, kSizeWidth, time, kTimeWidth,
                   EscapeControlCharacters(name.name));
  }
  return PrintOut(text);
}

}  // namespace

void AddLsCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("ls", "List what is below an S3 prefix, or one object");
  SetUpHelp(*app, "s3overlay ls [OPTIONS] s3://BUCKET[/PREFIX|/KEY]",
            "Prints size in bytes, time of the last change and name; directories end in '/'.\n\n"
            "Example:\n  s3overlay ls s3://bucket/datasets");
  const auto spec = std::make_shared<std::string>();
  app->add_option("PREFIX", *spec, "What to list: as a directory where keys lie below it, else the object of that key")
      ->required()
      ->type_name("");
  AddTableOptions(*app, OptionSet::kTools);
  app->callback([app, spec, &action] {
    action = [app, spec] {
      return RunTool(GivenOptions(*app, OptionSet::kTools),
                     [&](const MountConfig& config) { return List(config, *spec); });
    };
  });
}

}  // namespace s3overlay
