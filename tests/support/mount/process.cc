// SPDX-License-Identifier: Apache-2.0
#include "support/mount/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <stdexcept>
#include <thread>

namespace s3overlay::testing {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string Contents(int fd) {
  std::string text;
  std::array<char, 64 * 1024> buffer{};
  ssize_t got = 0;
  while ((got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return text;
}

// Blocked and ignored signals are inherited: the child starts with none of either.
void StartWithPlainSignals(posix_spawnattr_t& attributes) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment)
    : out_(::memfd_create("stdout", MFD_CLOEXEC)), err_(::memfd_create("stderr", MFD_CLOEXEC)) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, out_.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, err_.get(), STDERR_FILENO);
  StartWithPlainSignals(attributes);
  const int failure = ::posix_spawnp(&pid_, argv.at(0).c_str(), &files, &attributes, Pointers(argv).data(),
                                     Pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) throw std::runtime_error("cannot start " + argv[0]);
}

Process::~Process() {
  if (HasEnded()) return;
  Signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::Signal(int signal) const {
  if (!ended_) ::kill(pid_, signal);
}

bool Process::HasEnded() {
  int status = 0;
  if (!ended_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = true;
    exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return ended_;
}

ProcessResult Process::Wait(std::chrono::seconds limit) {
  const bool in_time = Eventually([this] { return HasEnded(); }, limit);
  if (!in_time) {
    Signal(SIGKILL);
    Eventually([this] { return HasEnded(); });
  }
  ProcessResult result{.exit_code = exit_code_, .out = Contents(out_.get()), .err = Contents(err_.get())};
  if (!in_time) ADD_FAILURE() << "still running after " << limit.count() << " s; so far it said\n" << result.err;
  return result;
}

}  // namespace s3overlay::testing
