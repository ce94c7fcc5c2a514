// SPDX-License-Identifier: Apache-2.0
#include "local/local_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <utility>

namespace s3overlay {
namespace {

FileType TypeOf(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kRegular;
  if (S_ISDIR(mode)) return FileType::kDirectory;
  if (S_ISLNK(mode)) return FileType::kSymlink;
  if (S_ISCHR(mode)) return FileType::kCharacterDevice;
  if (S_ISBLK(mode)) return FileType::kBlockDevice;
  return S_ISFIFO(mode) ? FileType::kFifo : FileType::kSocket;
}

WallTime ToWallTime(const timespec& time) {
  return WallTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

std::string LocalVersion(const struct stat& status) { return fmt::format("{:x}:{:x}", status.st_dev, status.st_ino); }

FileAttributes LocalAttributes(const struct stat& status) {
  constexpr uint64_t kStatBlock = 512;  // The unit of st_blocks, whatever the file system's blocks are (stat(2)).
  return {.type = TypeOf(status.st_mode),
          .size = static_cast<uint64_t>(status.st_size),
          .allocated = static_cast<uint64_t>(status.st_blocks) * kStatBlock,
          .mtime = ToWallTime(status.st_mtim),
          .mode = status.st_mode & 07777U,
          .device = status.st_rdev};
}

LocalFile::LocalFile(UniqueFd fd, Entry entry)
    : file_(std::make_shared<BackingFile>(std::move(fd))), entry_(std::move(entry)) {}

Result<size_t> LocalFile::Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) {
  size_t done = 0;
  while (done < buffer.size() && offset + done <= std::numeric_limits<off_t>::max()) {
    if (context.IsCancelled()) return Error{.code = ErrorCode::kCancelled, .message = entry_.source};
    const ssize_t size =
        ::pread(file_->fd(), buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return SystemError(errno, fmt::format("read {}", entry_.source));
    if (size == 0) break;
    done += static_cast<size_t>(size);
  }
  return done;
}

Result<Entry> LocalFile::GetEntry() const {
  struct stat status{};
  if (::fstat(file_->fd(), &status) != 0) return SystemError(errno, fmt::format("stat {}", entry_.source));
  Entry entry = entry_;
  entry.attributes = LocalAttributes(status);
  return entry;
}

}  // namespace s3overlay
