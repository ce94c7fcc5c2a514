// SPDX-License-Identifier: Apache-2.0
#include "app/mount_checks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "app/detach.h"
#include "app/mounts.h"
#include "config/mount_config.h"
#include "control/socket_path.h"

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

// Whether a path lies below the mountpoint, as it was typed or where it ends when all its links are followed.
bool LeadsBelow(std::filesystem::path path, const std::string& mountpoint) {
  std::error_code error;
  const std::string target = std::filesystem::weakly_canonical(path, error).string();
  if (!error && target.starts_with(mountpoint + "/")) return true;
  for (; path.has_relative_path(); path = path.parent_path()) {
    if (std::filesystem::weakly_canonical(path, error) == mountpoint && !error) return true;
  }
  return false;
}

// What the daemon itself writes or reads must not pass through its own mount: it would wait for itself.
Result<void> CheckIsOutside(const std::string& what, const std::string& path, const std::string& mountpoint) {
  if (path.empty() || !LeadsBelow(path, mountpoint)) return {};
  return Refusal(fmt::format("{} {} lies below the mountpoint {}: move it outside, or choose another path", what, path,
                             mountpoint));
}

// The configuration is read once; but what lies below would be hidden from whoever mounts anew.
Result<void> CheckFilesAreOutside(const MountConfig& config, const std::string& mountpoint) {
  if (config.cache.enabled) S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--cache-dir", config.cache.dir, mountpoint));
  S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--log-file", config.log.file, mountpoint));
  const std::string socket = ControlSocketPath(mountpoint);
  S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("the control socket (see XDG_RUNTIME_DIR)", socket, mountpoint));
  S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--config", config.config_file, mountpoint));
  S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--env-file", config.env_file, mountpoint));
  for (const LayerSpec& layer : config.layers) {
    S3OVERLAY_RETURN_IF_ERROR(CheckIsOutside("--ca-bundle", layer.store.ca_bundle, mountpoint));
  }
  return {};
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
  S3OVERLAY_RETURN_IF_ERROR(CheckFilesAreOutside(config, *mountpoint));
  return mountpoint;
}

}  // namespace s3overlay
