// SPDX-License-Identifier: Apache-2.0
//
// PathResolver: from a path below one directory to a descriptor, and never out of that directory by accident.
//
// All goes through the root's descriptor (openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS;
// source: openat2(2)), so that a mount may cover the directory's path afterwards. A path with a symbolic link in it is
// walked link by link here instead: the kernel would follow an absolute link into our own mount and wait for us.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "s3overlay/mutex.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

struct PathResolverOptions {
  bool follow_links_out = false;  // Enter links that lead out of the root.
  std::string mountpoint;         // Absolute, without links: never entered, whatever leads there. Empty: none.
};

// What becomes of a path whose last component is a symbolic link.
enum class LastLink { kKeep, kEnter };

// Thread-safe.
class PathResolver {
 public:
  PathResolver(PathResolverOptions options, UniqueFd root);

  // An O_PATH descriptor of what is at `path` (relative, "" is the root). kNotFound, kNotADirectory (a component is no
  // directory, or a link that may not be entered or leads nowhere), kSystem. A link that is not entered because it
  // leads out is logged once.
  Result<UniqueFd> Resolve(std::string_view path, LastLink last) const;

  // Whether the link at `path` leads to a directory that Resolve would enter. Logs nothing.
  bool IsEnterable(std::string_view path) const;

  const UniqueFd& root() const { return root_; }
  // Absolute, from where the root was when it was opened; the root's own for an empty path.
  std::string PathTo(std::string_view path) const;

 private:
  friend class LinkWalk;

  // Whether a path leads into our own mount: from inside the root, or by way of "/".
  bool IsOwnMount(std::string_view absolute, bool outside) const;

  void WarnOfHidden(const std::string& link) const S3OVERLAY_EXCLUDES(mu_);

  const PathResolverOptions options_;
  const UniqueFd root_;
  const UniqueFd filesystem_root_;  // Open with follow_links_out only.
  const std::string root_path_;

  mutable Mutex mu_;
  mutable std::set<std::string> warned_ S3OVERLAY_GUARDED_BY(mu_);  // Bounded; full means silent.
};

// The path behind a descriptor, as the kernel knows it; empty where it cannot say.
std::string PathOfDescriptor(int fd);

// The target of the symbolic link that `fd` (O_PATH, O_NOFOLLOW) is.
Result<std::string> ReadLinkOf(int fd);

// "/proc/self/fd/N": the way from an O_PATH descriptor to what it names, without another look at the name.
std::string ProcPathOf(int fd);

}  // namespace s3overlay
