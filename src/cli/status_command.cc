// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/exit_code.h"
#include "app/mounts.h"
#include "app/tools.h"
#include "cli/command.h"
#include "cli/help_formatter.h"
#include "cli/output.h"
#include "control/documents.h"

namespace s3overlay {
namespace {

struct StatusArguments {
  std::string mountpoint;
  bool json = false;
};

int ShowStatus(const std::string& mountpoint, bool json) {
  const Result<StatusObject> status = FetchStatusOf(mountpoint);
  if (!status) return ReportError(status.error());
  return PrintOut(json ? StatusToJson(*status) : StatusToText(*status));
}

// The first failure is the answer, after all others were shown.
int ShowAll(bool json) {
  const std::vector<MountedOverlay> mounts = FindMounts();
  if (mounts.empty()) return ReportError({ErrorCode::kNotFound, "nothing of s3overlay is mounted here"});
  int result = kExitOk;
  for (const MountedOverlay& mount : mounts) {
    if (&mount != &mounts.front() && !json) PrintOut("\n");
    const int shown = ShowStatus(mount.mountpoint, json);
    if (result == kExitOk) result = shown;
  }
  return result;
}

}  // namespace

void AddStatusCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("status", "How a mount is doing: layers, stores, cache, memory, requests");
  SetUpHelp(*app, "s3overlay status [--json] [MOUNTPOINT]",
            "Without a mountpoint: every mount, with --json one document after the other.\n\n"
            "Examples:\n  s3overlay status\n  s3overlay status --json /data/datasets");
  const auto arguments = std::make_shared<StatusArguments>();
  app->add_option("MOUNTPOINT", arguments->mountpoint, "Where it is mounted")->type_name("");
  app->add_flag("--json", arguments->json, "Print a JSON document");
  app->callback([arguments, &action] {
    action = [arguments] {
      return arguments->mountpoint.empty() ? ShowAll(arguments->json)
                                           : ShowStatus(arguments->mountpoint, arguments->json);
    };
  });
}

}  // namespace s3overlay
