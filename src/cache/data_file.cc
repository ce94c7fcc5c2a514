// SPDX-License-Identifier: Apache-2.0
#include "cache/data_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

namespace s3overlay {
namespace {

constexpr char kIdAttribute[] = "user.s3overlay.id";
constexpr char kLentAttribute[] = "user.s3overlay.lent";

Result<uint64_t> RandomId() {
  uint64_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != sizeof id) return SystemError(errno, "getrandom");
  return id == 0 ? 1 : id;
}

// Zero where the file carries none.
uint64_t ReadId(int fd) {
  uint64_t id = 0;
  return ::fgetxattr(fd, kIdAttribute, &id, sizeof id) == sizeof id ? id : 0;
}

Result<struct stat> Stat(int fd) {
  struct stat attributes{};
  if (::fstat(fd, &attributes) != 0) return SystemError(errno, "fstat of a cache file");
  return attributes;
}

Result<FileIdentity> Prepare(int fd, uint64_t size) {
  if (::fchmod(fd, 0600) != 0) return SystemError(errno, "chmod of a cache file");
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return SystemError(errno, "truncate a cache file");
  auto id = RandomId();
  if (!id) return id.error();
  if (::fsetxattr(fd, kIdAttribute, &*id, sizeof *id, 0) != 0) *id = 0;
  auto attributes = Stat(fd);
  if (!attributes) return attributes.error();
  return FileIdentity{.id = *id, .inode = attributes->st_ino, .size = size};
}

// What lies in the page cache after a block was held to its checksum is taken to be that block. Readahead would bring
// its neighbours there, which nobody has looked at. Of this descriptor only: one that is lent is another.
void TurnOffReadahead(int fd) { ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); }

UniqueFd OpenFd(const std::string& path, bool writable) {
  const int mode = writable ? O_RDWR : O_RDONLY;
  return UniqueFd(::open(path.c_str(), mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

bool SaysNothingOfTheFile(const Error& error) {
  if (error.code != ErrorCode::kSystem) return false;
  switch (error.sys_errno) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EACCES:
    case EROFS:
    case ENOSPC:
    case EDQUOT: return true;
    default: return false;
  }
}

int64_t ChangeTimeOf(const struct stat& attributes) {
  return int64_t{attributes.st_ctim.tv_sec} * 1'000'000'000 + attributes.st_ctim.tv_nsec;
}

namespace {

bool IsSameInode(const struct stat& attributes, const FileIdentity& identity) {
  return S_ISREG(attributes.st_mode) && attributes.st_ino == identity.inode &&
         static_cast<uint64_t>(attributes.st_size) == identity.size;
}

bool IsSameFile(int fd, const struct stat& attributes, const FileIdentity& identity) {
  return IsSameInode(attributes, identity) && ReadId(fd) == identity.id;
}

}  // namespace

Result<std::unique_ptr<DataFile>> DataFile::Create(const std::string& path, uint64_t size) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError(errno, fmt::format("unlink {}", path));
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.is_open()) return SystemError(errno, fmt::format("create {}", path));
  auto identity = Prepare(fd.get(), size);
  if (!identity) {
    ::unlink(path.c_str());
    return identity.error();
  }
  TurnOffReadahead(fd.get());
  return std::unique_ptr<DataFile>(new DataFile(std::move(fd), *identity));
}

Result<std::unique_ptr<DataFile>> DataFile::Open(const std::string& path, const FileIdentity& identity, FileUse use) {
  bool writable = use != FileUse::kLend;
  UniqueFd fd = OpenFd(path, writable);
  if (!fd.is_open() && use == FileUse::kRead && (errno == EROFS || errno == EACCES)) {
    writable = false;
    fd = OpenFd(path, writable);
  }
  if (!fd.is_open()) return SystemError(errno, fmt::format("open {}", path));
  auto attributes = Stat(fd.get());
  if (!attributes) return attributes.error();
  if (!IsSameFile(fd.get(), *attributes, identity)) {
    return Error{.code = ErrorCode::kBadResponse, .message = fmt::format("{} is not the file it was", path)};
  }
  if (use != FileUse::kLend) TurnOffReadahead(fd.get());
  std::unique_ptr<DataFile> file(new DataFile(std::move(fd), identity));
  file->writable_ = writable;
  file->was_lent_ = identity.id != 0 && file->WasLent();
  return file;
}

std::unique_ptr<DataFile> DataFile::OpenAtOnce(const std::string& path, const FileIdentity& identity) {
  open_how how{};
  how.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  struct stat attributes{};
  if (!fd.is_open() || ::fstat(fd.get(), &attributes) != 0 || !IsSameInode(attributes, identity)) return nullptr;
  TurnOffReadahead(fd.get());
  std::unique_ptr<DataFile> file(new DataFile(std::move(fd), identity));
  file->writable_ = false;
  return file;
}

Result<void> DataFile::Read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, "read a cache file");
    if (count == 0) return SystemError(EIO, "read a cache file: it is shorter than its object");
    offset += static_cast<uint64_t>(count);
    out = out.subspan(static_cast<size_t>(count));
  }
  return {};
}

bool DataFile::ReadAtOnce(uint64_t offset, std::span<std::byte> out) const {
  const iovec into{.iov_base = out.data(), .iov_len = out.size()};
  const ssize_t count = ::preadv2(fd_.get(), &into, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return count >= 0 && static_cast<size_t>(count) == out.size();
}

Result<void> DataFile::Write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return SystemError(count == 0 ? EIO : errno, "write a cache file");
    offset += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> DataFile::Sync() {
  if (::fdatasync(fd_.get()) != 0) return SystemError(errno, "fdatasync of a cache file");
  return {};
}

Result<void> DataFile::Punch(ByteRange range) {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(fd_.get(), mode, static_cast<off_t>(range.offset), static_cast<off_t>(range.size)) != 0) {
    return SystemError(errno, "punch a hole into a cache file");
  }
  return {};
}

Result<FileStatus> DataFile::GetStatus() const {
  auto attributes = Stat(fd_.get());
  if (!attributes) return attributes.error();
  return FileStatus{.allocated = static_cast<uint64_t>(attributes->st_blocks) * 512,
                    .changed_ns = ChangeTimeOf(*attributes)};
}

// A range behind the end has no pages to wait for; what is left of the call is the kernel's note of failed writes.
bool DataFile::HasLostWrites() const {
  const auto behind = static_cast<off64_t>(identity_.size + (uint64_t{1} << 20));
  return ::sync_file_range(fd_.get(), behind, 1, SYNC_FILE_RANGE_WAIT_BEFORE) != 0 && (errno == EIO || errno == ENOSPC);
}

Result<void> DataFile::MarkLent() {
  if (WasLent()) return {};
  if (::fsetxattr(fd_.get(), kLentAttribute, "1", 1, 0) != 0) return SystemError(errno, "mark a cache file as lent");
  return {};
}

bool DataFile::WasLent() const {
  if (identity_.id == 0) return true;
  return ::fgetxattr(fd_.get(), kLentAttribute, nullptr, 0) >= 0 || errno != ENODATA;
}

}  // namespace s3overlay
