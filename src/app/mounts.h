// SPDX-License-Identifier: Apache-2.0
//
// Which mounts of ours there are, by /proc/self/mountinfo (proc_pid_mountinfo(5)); no question here waits for a mount.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/result.h"

namespace s3overlay {

struct MountedOverlay {
  std::string mountpoint;  // Absolute, without links.
  std::string source;      // What it was mounted from: the first S3 layer.
  uid_t user = 0;          // Who mounted it, and may ask its daemon.
};

// All of this mount namespace, in the order in which they were mounted.
std::vector<MountedOverlay> FindMounts();

// The mounts in the text of a mountinfo file.
std::vector<MountedOverlay> ParseMountInfo(std::string_view text);

// Where a path lies below a mount of ours: the innermost, and the rest of the path.
struct PathInMount {
  std::string mountpoint;
  std::string path;  // As FileSource wants it; "" is the root.
};
std::optional<PathInMount> LocateInMounts(const std::string& path);

// `path` absolute and with the links of its directories resolved; the last component, which may be a mount that does
// not answer, is not touched. kNotFound and kSystem where the directory above is not there.
Result<std::string> CanonicalPath(const std::string& path);

// The mount of ours at exactly this canonical path; the uppermost where there are several.
std::optional<MountedOverlay> FindMountAt(const std::string& canonical_path);

// kDenied where `user` may not take the mount away, which fusermount3 would tell like one that is busy.
Result<void> CheckMayUnmount(const MountedOverlay& mount, uid_t user);

// Whether a mount of ours is at exactly this canonical path.
bool IsOverlayMount(const std::string& canonical_path);

// Whether the mount's daemon is gone ("Transport endpoint is not connected").
bool IsDeadMount(const std::string& canonical_path);

}  // namespace s3overlay
