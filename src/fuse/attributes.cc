// SPDX-License-Identifier: Apache-2.0
#include "fuse/attributes.h"

#include <algorithm>

namespace s3overlay {
namespace {

constexpr mode_t kReadOnly = 0555;
constexpr uint64_t kSector = 512;  // Of st_blocks, whatever the file system.

// The kernel opens special files itself, without asking us: devices it refuses on a mount with "nodev", as ours are,
// and sockets always. A FIFO it would open as one of its own and wait for a writer that can never come (tried), so a
// FIFO shows as a socket.
mode_t TypeBits(FileType type) {
  switch (type) {
    case FileType::kDirectory: return S_IFDIR;
    case FileType::kSymlink: return S_IFLNK;
    case FileType::kRegular: return S_IFREG;
    case FileType::kCharacterDevice: return S_IFCHR;
    case FileType::kBlockDevice: return S_IFBLK;
    case FileType::kFifo:
    case FileType::kSocket: return S_IFSOCK;
  }
  return S_IFSOCK;
}

mode_t PermissionBits(const FileAttributes& attributes, const Ownership& ownership) {
  if (attributes.type == FileType::kSymlink) return 0777;
  const bool is_directory = attributes.type == FileType::kDirectory;
  return attributes.mode.value_or(is_directory ? ownership.directory_mode : ownership.file_mode) & kReadOnly;
}

timespec ToTimespec(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
  return {static_cast<time_t>(seconds.count()), static_cast<long>((time.time_since_epoch() - seconds).count())};
}

}  // namespace

struct stat ToStat(uint64_t inode_number, const FileAttributes& attributes, const Ownership& ownership) {
  struct stat result{};
  result.st_ino = inode_number;
  result.st_nlink = 1;
  result.st_mode = TypeBits(attributes.type) | PermissionBits(attributes, ownership);
  result.st_uid = ownership.uid;
  result.st_gid = ownership.gid;
  result.st_rdev = static_cast<dev_t>(attributes.device);
  result.st_size = static_cast<off_t>(attributes.size);
  result.st_blocks = static_cast<blkcnt_t>((attributes.allocated + kSector - 1) / kSector);
  result.st_mtim = result.st_ctim = result.st_atim = ToTimespec(attributes.mtime);
  return result;
}

double KernelTimeout(const Entry& entry) {
  const bool fleeting = entry.state == FileState::kDegraded || entry.state == FileState::kStale;
  const double seconds = std::chrono::duration<double>(entry.ttl).count();
  return std::clamp(seconds, 0.0, fleeting ? 1.0 : 1e9);
}

}  // namespace s3overlay
