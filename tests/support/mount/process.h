// SPDX-License-Identifier: Apache-2.0
//
// Process: a child program with its output, its end and a limit to how long it may take.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "s3overlay/unique_fd.h"
#include "support/eventually.h"

namespace s3overlay::testing {

struct ProcessResult {
  int exit_code = -1;  // 128 + N where signal N ended it, as in a shell.
  std::string out;
  std::string err;
};

class Process {
 public:
  // Starts argv[0] (found by PATH of this process) with exactly that environment ("NAME=value").
  Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment);
  // Kills it where it still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // Waits for the end; a test failure, and the child killed, when the limit passes first.
  ProcessResult Wait(std::chrono::seconds limit = kLongWait);

 private:
  bool HasEnded();

  const UniqueFd out_;  // memfd: a child that outlives its parent command holds up nobody.
  const UniqueFd err_;
  pid_t pid_ = -1;
  bool ended_ = false;
  int exit_code_ = -1;
};

}  // namespace s3overlay::testing
