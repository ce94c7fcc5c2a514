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

namespace s3overlay {
namespace {

constexpr const char* kFooter =
    "What is no s3:// and no path that exists is a key of the bucket in OVH_S3_BUCKET or S3_BUCKET.\n\n"
    "Examples:\n"
    "  s3overlay cat s3://bucket/datasets/a.jsonl --lines 3\n"
    "  s3overlay cat /data/datasets/a.jsonl | wc -l\n"
    "  S3_BUCKET=bucket s3overlay cat datasets/a.jsonl";

// What is wrong with it, or nothing.
std::string CheckWholeNumber(const std::string& text) {
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? "" : "'" + text + "' is no whole number";
}

int RunCat(const MountConfig& config, const CatRequest& request) {
  const Result<void> done = Cat(config, request);
  return done ? kExitOk : ReportError(done.error());
}

}  // namespace

void AddCatCommand(CLI::App& root, Action& action) {
  CLI::App* const app = root.add_subcommand("cat", "Print an object or a file");
  SetUpHelp(*app, "s3overlay cat [OPTIONS] s3://BUCKET/KEY|PATH|KEY", kFooter);
  const auto request = std::make_shared<CatRequest>();
  app->add_option("PATH", request->subject, "What to print")->required()->type_name("");
  app->add_option_function<uint64_t>(
         "-n,--lines", [request](const uint64_t& lines) { request->lines = lines; },
         "Print the first N lines only, and fetch no more than that takes")
      ->check(CheckWholeNumber, "")  // Conversion alone would make a very large number of -1.
      ->type_name("N");
  AddTableOptions(*app, OptionSet::kTools);
  app->callback([app, request, &action] {
    action = [app, request] {
      return RunTool(GivenOptions(*app, OptionSet::kTools),
                     [&](const MountConfig& config) { return RunCat(config, *request); });
    };
  });
}

}  // namespace s3overlay
