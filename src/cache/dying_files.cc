// SPDX-License-Identifier: Apache-2.0
#include "cache/dying_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

// Refused leases and files that cannot be opened for want of descriptors are tried again. A file system without leases
// cannot tell; to unlink is harmless to whoever has the file.
bool IsInUse(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.is_open()) return errno != ENOENT;
  return ::fcntl(fd.get(), F_SETLEASE, F_WRLCK) != 0 && (errno == EAGAIN || errno == EBUSY);
}

}  // namespace

void DyingFiles::Add(std::string path, uint64_t bytes) {
  bytes_ += bytes;
  files_.push_back({.path = std::move(path), .bytes = bytes});
}

void DyingFiles::Reap() {
  std::erase_if(files_, [this](const File& file) {
    if (IsInUse(file.path)) return false;
    // Nobody can have opened it since the lease: the name is known here only.
    if (::unlink(file.path.c_str()) != 0 && errno != ENOENT) return false;
    bytes_ -= file.bytes;
    return true;
  });
}

void DyingFiles::Forget() {
  files_.clear();
  bytes_ = 0;
}

}  // namespace s3overlay
