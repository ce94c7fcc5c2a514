// SPDX-License-Identifier: Apache-2.0
#include "app/mount_checks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "app/detach.h"
#include "app/mounts.h"
#include "config/mount_config.h"

namespace s3overlay {
namespace {

Error Refusal(std::string message) { return {.code = ErrorCode::kInvalidArgument, .message = std::move(message)}; }

Result<void> CheckIsDirectory(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return Refusal(SystemError(errno, fmt::format("mountpoint {}", path)).message);
  }
  if (!S_ISDIR(status.st_mode)) return Refusal(fmt::format("mountpoint {} is not a directory", path));
  return {};
}

// What the daemon itself writes must not pass through its own mount: it would wait for itself.
Result<void> CheckIsOutside(const std::string& what, const std::string& path, const std::string& mountpoint) {
  if (path.empty()) return {};
  std::error_code error;
  const std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error || (real != mountpoint && !real.starts_with(mountpoint + "/"))) return {};
  return Refusal(
      fmt::format("{} {} lies below the mountpoint {}: choose a path outside of it", what, path, mountpoint));
}

// Mounts are checked before anything is asked of the path itself: a mount that hangs would hang us.
Result<void> ClearTheWay(const std::string& mountpoint) {
  if (!IsOverlayMount(mountpoint)) return {};
  if (!IsDeadMount(mountpoint)) {
    return Refusal(fmt::format("{0} is already mounted; to mount it anew: s3overlay umount {0}", mountpoint));
  }
  fmt::print(stderr, "s3overlay: {}: the process of an earlier mount has died, its mount is detached\n", mountpoint);
  return DetachMount(mountpoint, DetachMode::kAtOnce);
}

}  // namespace

Result<std::string> PrepareMountpoint(const MountConfig& config) {
  const auto mountpoint = CanonicalPath(config.mountpoint);
  if (!mountpoint) return Refusal(fmt::format("mountpoint {}: {}", config.mountpoint, mountpoint.error().message));
  S3OVERLAY_RETURN_IF_ERROR(ClearTheWay(*mountpoint));
  S3OVERLAY_RETURN_IF_ERROR(CheckIsDirectory(*mountpoint));
  if (config.cache.enabled) S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--cache-dir", config.cache.dir, *mountpoint));
  S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--log-file", config.log.file, *mountpoint));
  return mountpoint;
}

}  // namespace s3overlay
