// SPDX-License-Identifier: Apache-2.0
//
// A reader process of the random run: random_reader MOUNTPOINT PLAN-SEED SEED SECONDS. It knows no history: bytes of
// another version, another file or none are wrong at any time. Exit code 1 and the finding on its output.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "random/reader.h"

int main(int argc, char** argv) {
  using namespace s3overlay::testing;
  if (argc != 5) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  CatchBusErrors();
  const FilePlan plan(std::strtoull(argv[2], nullptr, 10));
  const LenientJudge judge;
  Findings findings(plan);
  const std::atomic<bool> passes_through = false;
  const ReaderSetting setting{
      .mountpoint = argv[1], .plan = plan, .judge = judge, .findings = findings, .passes_through = passes_through};
  Reader reader(setting, "process", std::strtoull(argv[3], nullptr, 10));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[4]));
  while (std::chrono::steady_clock::now() < end && !findings.any()) reader.Step();
  if (!findings.any()) return 0;
  fmt::print("{}", findings.text());
  return 1;
}
