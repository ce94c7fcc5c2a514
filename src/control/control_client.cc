// SPDX-License-Identifier: Apache-2.0
#include "control/control_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "control/json_codec.h"
#include "control/unix_socket.h"

namespace s3overlay {
namespace {

constexpr size_t kMaxAnswerBytes = 64 * 1024 * 1024;
constexpr Duration kConnectRetry = std::chrono::milliseconds(10);

Error ConnectError(int error, const std::string& path) {
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
    return Error{ErrorCode::kNotFound, "no running mount answers at " + path};
  }
  if (error == EACCES || error == EPERM) {
    return Error{ErrorCode::kDenied, path + ": this mount is another user's; ask as its user or as root"};
  }
  return SystemError(error, "connect to " + path);
}

ControlRequest MakeRequest(std::string call, std::string_view path = {}) {
  return {std::move(call), std::string(path), std::nullopt};
}

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::Connect(std::string socket_path, Duration timeout) {
  S3OVERLAY_RETURN_IF_ERROR(CheckSocketPath(socket_path));
  Result<UniqueFd> socket = MakeUnixSocket();
  if (!socket) return socket.error();
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, timeout);
  int error = 0;
  while ((error = ConnectTo(socket->get(), socket_path)) != 0) {
    if (error != EAGAIN && error != EINTR) return ConnectError(error, socket_path);
    // The daemon's queue is full. It lets nobody wait who is awake, so this is short, or for ever.
    if (deadline.HasPassed(clock)) return Error{ErrorCode::kTimedOut, socket_path + ": the mount does not answer"};
    std::this_thread::sleep_for(kConnectRetry);
  }
  return std::unique_ptr<ControlClient>(new ControlClient(*std::move(socket), std::move(socket_path), timeout));
}

ControlClient::ControlClient(UniqueFd socket, std::string socket_path, Duration timeout)
    : socket_path_(std::move(socket_path)), timeout_(timeout), socket_(std::move(socket)) {}

Result<StatusObject> ControlClient::FetchStatus() {
  const Result<std::string> line = Exchange(MakeRequest("status"), ShortCall());
  return line ? DecodeStatus(*line) : line.error();
}

Result<Resolution> ControlClient::Resolve(std::string_view path, const CallContext& context) {
  const Result<std::string> line = Exchange(MakeRequest("resolve", path), context);
  return line ? DecodeResolution(*line) : line.error();
}

Result<BlockCacheStats> ControlClient::FetchCacheStats() {
  const Result<std::string> line = Exchange(MakeRequest("cache_stats"), ShortCall());
  return line ? DecodeCacheStats(*line) : line.error();
}

Result<void> ControlClient::ClearCache() {
  const Result<std::string> line = Exchange(MakeRequest("cache_clear"), ShortCall());
  return line ? DecodeDone(*line) : line.error();
}

Result<CacheVerifyReport> ControlClient::VerifyCache(const CallContext& context) {
  const Result<std::string> line = Exchange(MakeRequest("cache_verify"), context);
  return line ? DecodeVerifyReport(*line) : line.error();
}

CallContext ControlClient::ShortCall() const {
  CallContext context;
  context.deadline = Deadline::After(clock_, timeout_);
  return context;
}

Result<std::string> ControlClient::Exchange(ControlRequest request, const CallContext& context) {
  if (!socket_.is_open()) return Error{ErrorCode::kUnavailable, socket_path_ + ": an earlier request failed"};
  if (!context.deadline.is_never()) {
    request.timeout_s = std::chrono::duration<double>(context.deadline.Remaining(clock_)).count();
  }
  Result<std::string> answer = SendAndReceive(EncodeRequest(request), context);
  if (!answer) {
    socket_.Reset();  // A late answer must not be taken for that of the next request.
    answer.error().message = socket_path_ + ": " + answer.error().message;
  }
  return answer;
}

Result<std::string> ControlClient::SendAndReceive(const std::string& line, const CallContext& context) {
  if (line.size() > kMaxRequestBytes) return Error{ErrorCode::kInvalidArgument, "the path is too long"};
  // A daemon that refuses a connection says why and hangs up: what it said is worth more than the failed send.
  const Result<void> sent = SendAll(socket_.get(), line, context, clock_);
  if (!sent && sent.error().code != ErrorCode::kUnavailable) return sent.error();
  std::string answer;
  while (answer.empty() || answer.back() != '\n') {
    const Result<size_t> got = ReceiveSome(socket_.get(), answer);
    if (got && *got == 0) return Error{ErrorCode::kUnavailable, "the mount went away without an answer"};
    if (!got && got.error().code != ErrorCode::kWouldBlock) return got.error();
    if (!got) S3OVERLAY_RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, context, clock_));
    if (answer.size() > kMaxAnswerBytes) return Error{ErrorCode::kBadResponse, "the answer never ends"};
  }
  return answer;
}

}  // namespace s3overlay
