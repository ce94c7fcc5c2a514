// SPDX-License-Identifier: Apache-2.0
//
// SocketFile: the name of a listening unix socket in the file system, removed with it.
#pragma once

#include <sys/types.h>

#include <string>

#include "s3overlay/clock.h"
#include "s3overlay/result.h"

namespace s3overlay {

class SocketFile {
 public:
  // Listens with `fd` at `path`, mode 0600 whatever the umask, in a directory that is made (0700) where it is missing.
  // A socket that nobody listens on is replaced. kMisconfigured: somebody listens, the path is too long, or the
  // directory is another user's or writable for others; kSystem.
  static Result<SocketFile> Listen(int fd, const std::string& path, int backlog, const Clock& clock);

  // Removes the file, unless it is another's by now.
  ~SocketFile();
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&&) = delete;
  SocketFile(const SocketFile&) = delete;

 private:
  SocketFile(std::string path, dev_t device, ino_t inode);

  std::string path_;  // Empty once moved away.
  dev_t device_;
  ino_t inode_;
};

}  // namespace s3overlay
