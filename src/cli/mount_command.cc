// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/exit_code.h"
#include "app/mount_app.h"
#include "cli/command.h"
#include "cli/help_formatter.h"
#include "cli/table_options.h"
#include "config/environment.h"
#include "config/load_config.h"

namespace s3overlay {
namespace {

constexpr const char* kFooter =
    "SPEC is s3://bucket[/prefix], laid over the directory that MOUNTPOINT already is: what is not in S3 is read from\n"
    "there. For other layers, or another order, give each one with --layer. Without any, the bucket is that of\n"
    "OVH_S3_BUCKET or S3_BUCKET.\n\n"
    "Every option can also be set in the environment (S3OVERLAY_CACHE_SIZE=50G) and in the file of --config\n"
    "(cache-size = \"50G\"); the command line comes first, then the environment, then the file.\n"
    "Sizes: 64K, 10G (powers of 1024), 10GB (powers of 1000), or bytes. Times: 500ms, 30s, 5m, 1h, or seconds.\n\n"
    "Examples:\n"
    "  s3overlay mount s3://bucket/datasets /data/datasets\n"
    "  s3overlay mount --layer s3://bucket/new --layer s3://bucket/old --layer /srv/files /mnt/all\n"
    "  s3overlay mount --layer models=s3://bucket/models --layer /srv/files --cache-size 50G /mnt/all\n"
    "  s3overlay mount --config /etc/s3overlay/datasets.toml --env-file /etc/s3overlay/keys --foreground /mnt/all";

int Mount(const CLI::App& app, const std::vector<std::string>& words) {
  CommandLine line{GivenOptions(app, OptionSet::kMount), words.size() > 1 ? words.front() : "", words.back()};
  const Result<MountConfig> config = LoadMountConfig(line, ProcessEnvironment());
  return config ? RunMount(*config) : ReportError(config.error());
}

}  // namespace

void AddMountCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("mount", "Mount S3 prefixes over local directories");
  SetUpHelp(*app, "s3overlay mount [OPTIONS] [SPEC] MOUNTPOINT", kFooter);
  const auto words = std::make_shared<std::vector<std::string>>();
  app->add_option("MOUNTPOINT", *words, "The directory to mount on; before it, the S3 prefix to mount")
      ->required()
      ->expected(1, 2)
      ->type_name("");
  AddTableOptions(*app, OptionSet::kMount);
  app->callback([app, words, &action] { action = [app, words] { return Mount(*app, *words); }; });
}

}  // namespace s3overlay
