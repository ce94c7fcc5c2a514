// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "app/exit_code.h"
#include "app/tools.h"
#include "cli/command.h"
#include "cli/help_formatter.h"
#include "cli/output.h"
#include "cli/table_options.h"
#include "control/documents.h"

namespace s3overlay {
namespace {

constexpr const char* kFooter =
    "The state is fresh (the first layer that has it answered), fallback (every layer before said no), degraded (a "
    "layer\n"
    "before could not answer) or stale (the store could not be asked, and the cache answers).\n\n"
    "Examples:\n"
    "  s3overlay resolve /data/datasets/a.jsonl\n"
    "  s3overlay resolve --json s3://bucket/datasets/a.jsonl";

struct ResolveArguments {
  std::string subject;
  bool json = false;
};

int Resolve(const MountConfig& config, const ResolveArguments& arguments) {
  const Result<Resolution> resolution = ResolveSubject(config, arguments.subject);
  if (!resolution) return ReportError(resolution.error());
  return PrintOut(arguments.json ? ResolutionToJson(*resolution) : ResolutionToText(*resolution));
}

}  // namespace

void AddResolveCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("resolve", "Which source serves a path, why, and how much is cached");
  SetUpHelp(*app, "s3overlay resolve [OPTIONS] PATH|s3://BUCKET[/KEY]", kFooter);
  const auto arguments = std::make_shared<ResolveArguments>();
  app->add_option("PATH", arguments->subject,
                  "A path below a mount, or an object or prefix, for which no mount is needed")
      ->required()
      ->type_name("");
  app->add_flag("--json", arguments->json, "Print a JSON document");
  AddTableOptions(*app, OptionSet::kTools);
  app->callback([app, arguments, &action] {
    action = [app, arguments] {
      return RunTool(GivenOptions(*app, OptionSet::kTools),
                     [&](const MountConfig& config) { return Resolve(config, *arguments); });
    };
  });
}

}  // namespace s3overlay
