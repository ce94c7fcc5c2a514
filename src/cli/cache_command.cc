// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "app/cache_tools.h"
#include "app/exit_code.h"
#include "cli/command.h"
#include "cli/help_formatter.h"
#include "cli/output.h"
#include "control/documents.h"

namespace s3overlay {
namespace {

constexpr const char* kWhich =
    "Which cache: that of a MOUNTPOINT, that in --cache-dir, or, with neither, that of the only mount there is. A "
    "running\n"
    "mount is asked for it; a cache that nobody uses is opened here.\n\n";

struct CacheArguments {
  CacheTarget target;
  bool json = false;
};

int ShowStats(const CacheArguments& arguments) {
  const Result<CacheStatsAnswer> answer = GetCacheStats(arguments.target);
  if (!answer) return ReportError(answer.error());
  std::optional<CacheOwner> owner;
  if (answer->owner_pid != 0) owner = CacheOwner{answer->owner_pid, answer->owner_mountpoint};
  return PrintOut(arguments.json ? CacheStatsToJson(answer->stats, owner) : CacheStatsToText(answer->stats, owner));
}

int Clear(const CacheArguments& arguments) {
  const Result<void> cleared = ClearCache(arguments.target);
  return cleared ? PrintOut("cleared, but for what is in use\n") : ReportError(cleared.error());
}

// Damage is repaired by then, and still worth a script's attention.
int Verify(const CacheArguments& arguments) {
  const Result<CacheVerifyReport> report = VerifyCache(arguments.target);
  if (!report) return ReportError(report.error());
  const int printed = PrintOut(arguments.json ? VerifyReportToJson(*report) : VerifyReportToText(*report));
  return report->damaged_blocks + report->damaged_files > 0 ? kExitError : printed;
}

// One of the commands below `cache`.
struct CacheRow {
  const char* name;
  const char* summary;
  const char* details;
  bool has_json;
  int (*run)(const CacheArguments& arguments);
};

constexpr CacheRow kRows[] = {
    {"stats", "How large it is, what it holds, how often it was of use",
     "Example:\n  s3overlay cache stats /data/datasets", true, ShowStats},
    {"clear", "Drop everything that is not in use",
     "Example:\n  s3overlay cache clear --cache-dir /var/cache/s3overlay/x", false, Clear},
    {"verify", "Read everything, and drop what is damaged",
     "What is dropped is fetched again when it is read. Exit code 1 where anything was damaged.\n\n"
     "Example:\n  s3overlay cache verify /data/datasets",
     true, Verify},
};

void AddRow(CLI::App& cache, const CacheRow& row, Action& action) {
  CLI::App* const app = cache.add_subcommand(row.name, row.summary);
  SetUpHelp(*app,
            std::string("s3overlay cache ") + row.name + (row.has_json ? " [--json]" : "") +
                " [MOUNTPOINT | --cache-dir DIR]",
            std::string(kWhich) + row.details);
  const auto arguments = std::make_shared<CacheArguments>();
  CLI::Option* const mountpoint =
      app->add_option("MOUNTPOINT", arguments->target.mountpoint, "The mount whose cache is meant")->type_name("");
  app->add_option("--cache-dir", arguments->target.dir, "The directory of the cache")
      ->type_name("DIR")
      ->excludes(mountpoint);
  if (row.has_json) app->add_flag("--json", arguments->json, "Print a JSON document");
  app->callback([arguments, run = row.run, &action] { action = [arguments, run] { return run(*arguments); }; });
}

}  // namespace

void AddCacheCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("cache", "Look at, check or empty a cache");
  SetUpHelp(*app, "s3overlay cache stats|clear|verify [ARGUMENTS]", "Example:\n  s3overlay cache stats");
  app->require_subcommand(1);
  for (const CacheRow& row : kRows) AddRow(*app, row, action);
}

}  // namespace s3overlay
