// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's file handles stand for. The kernel hands them back until it releases them; no call on a handle
// comes after its release.
#pragma once

#include <memory>
#include <string>

#include "fuse/failed_reads.h"
#include "fuse/filesystem.h"

namespace s3overlay {

struct Filesystem::FileHandle {
  NodePtr node;
  std::shared_ptr<OpenFile> file;
  HandleMode mode = HandleMode::kCached;
  std::string source;  // For messages.
  mutable FailedReads failed;
};

// One opendir: what it saw stays the same until it is closed, so that offsets are ordinals.
struct Filesystem::DirectoryHandle {
  NodePtr node;
  ListingPtr listing;
};

inline std::string JoinPath(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

}  // namespace s3overlay
