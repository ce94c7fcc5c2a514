// SPDX-License-Identifier: Apache-2.0
#include "app/backing_depth.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "config/mount_config.h"

namespace s3overlay {
namespace {

bool IsOnOverlayfs(const std::string& directory) {
  struct statfs found{};
  return ::statfs(directory.c_str(), &found) == 0 && found.f_type == OVERLAYFS_SUPER_MAGIC;
}

}  // namespace

BackingDepth FindBackingDepth(const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    if (IsOnOverlayfs(directory)) return {.depth = 1, .reason = fmt::format("{} lies on overlayfs", directory)};
  }
  return {.depth = 0, .reason = "neither the cache nor a local layer lies on overlayfs"};
}

BackingDepth FindBackingDepth(const MountConfig& config, const std::string& mountpoint) {
  std::vector<std::string> directories;
  if (config.cache.enabled) directories.push_back(config.cache.dir);
  for (const LayerSpec& layer : config.layers) {
    if (!layer.is_s3) directories.push_back(layer.is_covered ? mountpoint : layer.directory);
  }
  return FindBackingDepth(directories);
}

}  // namespace s3overlay
