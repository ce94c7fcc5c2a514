// SPDX-License-Identifier: Apache-2.0
#include "app/umount.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <variant>

#include "app/detach.h"
#include "app/exit_code.h"
#include "app/mount_client.h"
#include "app/mount_holders.h"
#include "app/mounts.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kEndTimeout = seconds(30);  // A disk under load can take that long for what is on its way to it.
constexpr auto kAskTimeout = seconds(3);
constexpr int kBusyAttempts = 10;  // What a program has just closed is let go of a moment later.
constexpr auto kBusyPause = milliseconds(100);

// The daemon of a mount, if it answers.
struct Daemon {
  int64_t pid = 0;
  UniqueFd pidfd;      // Taken while it lives: its number may be another's later.
  bool absent = true;  // Nobody listens at its socket.
};

int64_t PidIn(const StatusObject& status) {
  for (const auto& [name, field] : status) {
    if (name != "pid") continue;
    if (const auto* const pid = std::get_if<int64_t>(&field.value)) return *pid;
    if (const auto* const pid = std::get_if<uint64_t>(&field.value)) return static_cast<int64_t>(*pid);
  }
  return 0;
}

Daemon FindDaemon(const std::string& mountpoint) {
  Daemon daemon;
  auto client = ControlClient::Connect(ControlSocketOf(mountpoint), kAskTimeout);
  daemon.absent = !client && client.error().code == ErrorCode::kNotFound;
  if (!client) return daemon;
  const auto status = (*client)->FetchStatus();
  if (!status) return daemon;
  daemon.pid = PidIn(*status);
  if (daemon.pid > 0) daemon.pidfd.Reset(static_cast<int>(::syscall(SYS_pidfd_open, daemon.pid, 0)));
  return daemon;
}

bool HasEnded(const Daemon& daemon) {
  if (!daemon.pidfd.is_open()) return true;
  pollfd waiting{.fd = daemon.pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(milliseconds(kEndTimeout).count())) > 0;
}

bool IsBusy(const Result<void>& result) { return !result && result.error().sys_errno == EBUSY; }

Result<void> DetachWhenIdle(const std::string& mountpoint) {
  Result<void> result = DetachMount(mountpoint, DetachMode::kWhenIdle);
  for (int i = 1; i < kBusyAttempts && IsBusy(result); ++i) {
    std::this_thread::sleep_for(kBusyPause);
    result = DetachMount(mountpoint, DetachMode::kWhenIdle);
  }
  return result;
}

int ReportBusy(const std::string& mountpoint, const Daemon& daemon) {
  fmt::print(stderr, "s3overlay: {} is busy; it stays mounted. In use by:\n", mountpoint);
  const auto holders = FindMountHolders(mountpoint, static_cast<pid_t>(daemon.pid));
  for (const std::string& holder : holders) fmt::print(stderr, "  {}\n", holder);
  if (holders.empty())
    fmt::print(stderr,
               "  (no process that can be seen: a mapped file, a mount below it, or a process of another user)\n");
  fmt::print(stderr, "End these and try again, or detach it at once with: umount -l {}\n", mountpoint);
  return kExitTemporary;
}

int Unmount(const std::string& mountpoint) {
  const Daemon daemon = FindDaemon(mountpoint);
  const bool dead = daemon.absent && IsDeadMount(mountpoint);
  const Result<void> result = dead ? DetachMount(mountpoint, DetachMode::kAtOnce) : DetachWhenIdle(mountpoint);
  if (IsBusy(result)) return ReportBusy(mountpoint, daemon);
  if (!result) return ReportError(result.error());
  if (dead) fmt::print(stderr, "s3overlay: {}: the mount's process had died; cleaned up\n", mountpoint);
  if (HasEnded(daemon)) return kExitOk;
  fmt::print(stderr,
             "s3overlay: {} is unmounted here, but its process {} still runs: it works on its end, or another mount "
             "namespace (a container, a service of systemd) holds a copy of the mount\n",
             mountpoint, daemon.pid);
  return kExitTemporary;
}

}  // namespace

int RunUmount(const std::string& mountpoint) {
  const auto path = CanonicalPath(mountpoint);
  const auto mount = path ? FindMountAt(*path) : std::nullopt;
  if (!mount) {
    const std::string shown = path ? *path : mountpoint;
    return ReportError({.code = ErrorCode::kNotFound, .message = shown + " is not mounted by s3overlay"});
  }
  if (const auto allowed = CheckMayUnmount(*mount, ::geteuid()); !allowed) return ReportError(allowed.error());
  return Unmount(*path);
}

}  // namespace s3overlay
