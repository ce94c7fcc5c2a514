// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <cerrno>
#include <cstdio>

#include "app/exit_code.h"
#include "config/environment.h"
#include "config/load_config.h"

namespace s3overlay {

int PrintOut(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? kExitOk : ReportError(SystemError(errno, "write to standard output"));
}

int RunTool(const Settings& options, const std::function<int(const MountConfig&)>& action) {
  const Result<MountConfig> config = LoadToolConfig(options, ProcessEnvironment());
  if (!config) return ReportError(config.error());
  if (const Result<void> logging = StartLogging(config->log); !logging) return ReportError(logging.error());
  return action(*config);
}

}  // namespace s3overlay
