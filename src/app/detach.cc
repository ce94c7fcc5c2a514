// SPDX-License-Identifier: Apache-2.0
#include "app/detach.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "app/mounts.h"

namespace s3overlay {
namespace {

Error BusyOr(const std::string& mountpoint, int sys_errno) {
  return SystemError(sys_errno, fmt::format("unmount {}", mountpoint));
}

// fusermount3 says on standard error what is wrong; whether it is "busy" is all that its exit code leaves open.
Result<void> RunFusermount(const std::string& mountpoint, DetachMode mode) {
  std::string name = "fusermount3";
  std::string flags = mode == DetachMode::kAtOnce ? "-uz" : "-uq";
  std::string separator = "--";
  std::string path = mountpoint;
  const std::array<char*, 5> arguments = {name.data(), flags.data(), separator.data(), path.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, name.c_str(), nullptr, nullptr, arguments.data(), environ);
  if (error != 0) return SystemError(error, "run fusermount3 (package fuse3)");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return BusyOr(mountpoint, IsOverlayMount(mountpoint) ? EBUSY : EINVAL);
}

}  // namespace

Result<void> DetachMount(const std::string& mountpoint, DetachMode mode) {
  if (::geteuid() != 0) return RunFusermount(mountpoint, mode);
  const int flags = UMOUNT_NOFOLLOW | (mode == DetachMode::kAtOnce ? MNT_DETACH : 0);
  // Older kernels let only the machine's own root, and no container's, end a connection.
  if (mode == DetachMode::kAtOnce && ::umount2(mountpoint.c_str(), flags | MNT_FORCE) == 0) return {};
  if (::umount2(mountpoint.c_str(), flags) == 0) return {};
  return BusyOr(mountpoint, errno);
}

}  // namespace s3overlay
