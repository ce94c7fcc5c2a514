// SPDX-License-Identifier: Apache-2.0
//
// BackingDepth: how many stacked file systems lie below the files that a mount hands to the kernel for passthrough.
//
// The kernel bounds such stacks and counts a FUSE mount in them (max_backing_stack_depth of FUSE_INIT): a mount that
// takes files of an overlayfs, as in a container, cannot itself be a layer of an overlayfs. So the depth is as small as
// the directories allow.
#pragma once

#include <string>
#include <vector>

namespace s3overlay {

struct MountConfig;

struct BackingDepth {
  int depth = 0;       // FuseOptions::backing_stack_depth.
  std::string reason;  // Which directory made it so.
};

// By the file systems of these directories; one that cannot be asked does not count.
BackingDepth FindBackingDepth(const std::vector<std::string>& directories);

// Of the cache and of the local layers. Before the mount covers one of them.
BackingDepth FindBackingDepth(const MountConfig& config, const std::string& mountpoint);

}  // namespace s3overlay
