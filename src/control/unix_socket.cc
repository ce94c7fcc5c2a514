// SPDX-License-Identifier: Apache-2.0
#include "control/unix_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace s3overlay {
namespace {

constexpr Duration kLongestPoll = std::chrono::milliseconds(100);

// `path` has been checked.
sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

bool IsTransient(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Result<UniqueFd> MakeUnixSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return SystemError(errno, "make a unix socket");
  return fd;
}

Result<void> CheckSocketPath(const std::string& path) {
  const size_t limit = sizeof(sockaddr_un::sun_path) - 1;
  if (!path.empty() && path.size() <= limit && path.find('\0') == std::string::npos) return {};
  return Error{ErrorCode::kMisconfigured,
               fmt::format("{}: a control socket's path has 1 to {} bytes; set XDG_RUNTIME_DIR to a shorter directory",
                           path, limit)};
}

int ConnectTo(int fd, const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

int BindTo(int fd, const std::string& path) {
  const sockaddr_un address = AddressOf(path);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

Result<uid_t> PeerUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return SystemError(errno, "ask who is connected");
  return peer.uid;
}

Result<void> SendAll(int fd, std::string_view bytes, const CallContext& context, const Clock& clock) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (IsTransient(errno)) {
      S3OVERLAY_RETURN_IF_ERROR(WaitFor(fd, POLLOUT, context, clock));
    } else {
      return Error{ErrorCode::kUnavailable, "the other end of the control socket is gone"};
    }
  }
  return {};
}

Result<size_t> ReceiveSome(int fd, std::string& input) {
  std::array<char, 64 * 1024> buffer;
  const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got >= 0) {
    input.append(buffer.data(), static_cast<size_t>(got));
    return static_cast<size_t>(got);
  }
  if (IsTransient(errno)) return Error{ErrorCode::kWouldBlock, "nothing has come yet"};
  return Error{ErrorCode::kUnavailable, "the other end of the control socket is gone"};
}

Result<void> WaitFor(int fd, short events, const CallContext& context, const Clock& clock) {
  while (true) {
    if (context.IsCancelled()) return Error{ErrorCode::kCancelled, "cancelled"};
    if (context.deadline.HasPassed(clock)) return Error{ErrorCode::kTimedOut, "no answer in time"};
    const Duration wait = std::min(kLongestPoll, context.deadline.Remaining(clock));
    pollfd polled{fd, events, 0};
    const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (::poll(&polled, 1, static_cast<int>(wait_ms)) > 0) return {};
  }
}

}  // namespace s3overlay
