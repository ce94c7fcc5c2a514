// SPDX-License-Identifier: Apache-2.0
#include "app/background.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/exit_code.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

// What the child says: its exit code as one byte, then the reason.
std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(size));
  }
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno != EINTR) return false;
    if (size > 0) text.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

void PrintReason(std::string_view reason) { fmt::print(stderr, "s3overlay: {}\n", EscapeControlCharacters(reason)); }

int WaitForWord(pid_t child, int from_child) {
  const std::string word = ReadAll(from_child);
  if (!word.empty() && word[0] == kExitOk) return kExitOk;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (word.empty()) {
    PrintReason("the mount's process ended before the mount answered");
    return kExitError;
  }
  PrintReason(word.substr(1));
  return word[0];
}

void LeaveTerminal() {
  ::setsid();
  if (::chdir("/") != 0) log::Warning("cannot change to /: {}", std::strerror(errno));
}

void CloseStandardStreams() {
  std::fflush(nullptr);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; null.is_open() && fd <= 2; ++fd) ::dup2(null.get(), fd);
}

}  // namespace

std::optional<int> Background::Fork(Background* out) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ReportError(SystemError(errno, "make a pipe"));
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return ReportError(SystemError(errno, "fork"));
  if (child > 0) {
    to_parent.Reset();
    return WaitForWord(child, from_child.get());
  }
  LeaveTerminal();
  *out = Background(std::move(to_parent));
  return std::nullopt;
}

bool Background::Succeed() {
  if (!to_parent_.is_open()) return true;
  CloseStandardStreams();
  const bool told = WriteAll(to_parent_.get(), std::string(1, static_cast<char>(kExitOk)));
  to_parent_.Reset();
  return told;
}

int Background::Fail(int exit_code, const std::string& reason) {
  if (!to_parent_.is_open()) {
    PrintReason(reason);
    return exit_code;
  }
  WriteAll(to_parent_.get(), static_cast<char>(exit_code) + reason);
  to_parent_.Reset();
  return exit_code;
}

}  // namespace s3overlay
