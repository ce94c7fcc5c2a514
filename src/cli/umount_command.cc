// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "app/umount.h"
#include "cli/command.h"
#include "cli/help_formatter.h"

namespace s3overlay {

void AddUmountCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("umount", "Unmount, and wait until the daemon has ended");
  SetUpHelp(*app, "s3overlay umount MOUNTPOINT",
            "A mount that is in use stays, and who uses it is told. One whose daemon is dead is cleaned up. The cache\n"
            "stays on disk for the next mount; s3overlay cache clear empties it.\n\n"
            "Example:\n  s3overlay umount /data/datasets");
  const auto mountpoint = std::make_shared<std::string>();
  app->add_option("MOUNTPOINT", *mountpoint, "Where it is mounted")->required()->type_name("");
  app->callback([mountpoint, &action] { action = [mountpoint] { return RunUmount(*mountpoint); }; });
}

}  // namespace s3overlay
