// SPDX-License-Identifier: Apache-2.0
#include "control/socket_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>
#include <utility>

#include "control/unix_socket.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kSocketMode = 0600;
constexpr Duration kLongestLockWait = std::chrono::seconds(5);
constexpr Duration kLockRetry = std::chrono::milliseconds(10);

Error Misconfigured(std::string message) { return Error{ErrorCode::kMisconfigured, std::move(message)}; }

Result<void> CheckDirectory(const std::string& directory) {
  struct stat found{};
  if (::lstat(directory.c_str(), &found) != 0) return SystemError(errno, "look at " + directory);
  if (!S_ISDIR(found.st_mode)) return Misconfigured(directory + " is no directory: no place for a control socket");
  if (found.st_uid != ::geteuid())
    return Misconfigured(directory + " belongs to another user: no place for a control socket");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Misconfigured(
        fmt::format("{0} is writable for others: no place for a control socket; chmod 700 {0}", directory));
  }
  return {};
}

Result<void> MakeDirectory(const std::string& directory) {
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0) {
    if (errno == EEXIST) return CheckDirectory(directory);
    if (errno == ENOENT) {
      return Misconfigured(directory + " cannot be made, what lies above it is missing; set XDG_RUNTIME_DIR");
    }
    return SystemError(errno, "make the directory of the control socket, " + directory);
  }
  if (::chmod(directory.c_str(), kDirectoryMode) != 0) return SystemError(errno, "chmod " + directory);  // The umask.
  return {};
}

// Held while a socket is looked at and replaced, so that of two daemons that start together one sees the other.
Result<UniqueFd> LockDirectory(const std::string& directory, const Clock& clock) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return SystemError(errno, "open " + directory);
  const Deadline deadline = Deadline::After(clock, kLongestLockWait);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return SystemError(errno, "lock " + directory);
    if (deadline.HasPassed(clock)) return Misconfigured(directory + " is kept locked by another process");
    std::this_thread::sleep_for(kLockRetry);
  }
  return fd;
}

// Removes the socket of a dead daemon; refuses what is alive, and what is no socket.
Result<void> RemoveStale(const std::string& path) {
  Result<UniqueFd> probe = MakeUnixSocket();
  if (!probe) return probe.error();
  const int error = ConnectTo(probe->get(), path);
  if (error == ENOENT) return {};
  struct stat found{};
  const bool is_socket = ::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
  if (error != ECONNREFUSED || !is_socket) {
    return Misconfigured(path + ": another process answers there; is this directory mounted already?");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError(errno, "remove " + path);
  return {};
}

}  // namespace

SocketFile::SocketFile(std::string path, dev_t device, ino_t inode)
    : path_(std::move(path)), device_(device), inode_(inode) {}

SocketFile::SocketFile(SocketFile&& other) noexcept
    : path_(std::exchange(other.path_, std::string())), device_(other.device_), inode_(other.inode_) {}

SocketFile::~SocketFile() {
  struct stat found{};
  if (path_.empty() || ::lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

Result<SocketFile> SocketFile::Listen(int fd, const std::string& path, int backlog, const Clock& clock) {
  S3OVERLAY_RETURN_IF_ERROR(CheckSocketPath(path));
  const std::string directory = std::filesystem::path(path).parent_path().string();
  S3OVERLAY_RETURN_IF_ERROR(MakeDirectory(directory));
  const Result<UniqueFd> lock = LockDirectory(directory, clock);
  if (!lock) return lock.error();
  S3OVERLAY_RETURN_IF_ERROR(RemoveStale(path));
  // Linux gives the file the mode of the socket, less the umask: never more than 0600, even for a moment.
  if (::fchmod(fd, kSocketMode) != 0) return SystemError(errno, "chmod of a socket");
  if (const int error = BindTo(fd, path); error != 0) return SystemError(error, "make the control socket " + path);
  struct stat made{};
  if (::chmod(path.c_str(), kSocketMode) != 0 || ::lstat(path.c_str(), &made) != 0) {
    return SystemError(errno, "chmod " + path);
  }
  SocketFile file(path, made.st_dev, made.st_ino);
  // Under the lock still: who finds a socket that nobody listens on takes it for a dead daemon's.
  if (::listen(fd, backlog) != 0) return SystemError(errno, "listen on " + path);
  return file;
}

}  // namespace s3overlay
