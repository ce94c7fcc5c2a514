// SPDX-License-Identifier: Apache-2.0
#include "control/control_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "control/json_codec.h"
#include "control/unix_socket.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr size_t kMaxConnections = 64;
constexpr size_t kWorkers = 8;  // Of which each may be in a long verify; status is answered beside them.
constexpr Duration kLongestSend = std::chrono::seconds(5);
constexpr int kPauseMs = 1000;
constexpr double kLongestTimeout = 1e6;  // Seconds; longer ones are as good as none.

ThreadPoolOptions WorkerOptions() {
  return {.name = "s3o-control", .threads = kWorkers, .queue_limit = kMaxConnections};
}

bool MayAsk(uid_t user) { return user == 0 || user == ::geteuid(); }

// For the thread that waits for everybody: what does not fit the socket's buffer at once is lost.
void SendWithoutWaiting(int fd, const Error& error) {
  const std::string line = EncodeAnswer(Result<void>(error));
  (void)::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The bytes before the first line break of `input`, taken off it; false when there is none.
bool TakeLine(std::string& input, std::string& line) {
  const size_t end = input.find('\n');
  if (end == std::string::npos) return false;
  line = input.substr(0, end);
  input.erase(0, end + 1);
  return true;
}

}  // namespace

// While `busy` a worker has the connection, and the waiting thread only looks whether the peer is still there.
struct ControlServer::Connection {
  explicit Connection(UniqueFd socket) : fd(std::move(socket)) {}

  const UniqueFd fd;
  std::string input;   // Of the waiting thread, as the next one is.
  bool ended = false;  // The peer sends no more; what it has sent is answered still.
  std::atomic<bool> busy{false};
  std::atomic<bool> broken{false};     // Set by the worker: the answer could not be sent.
  std::atomic<bool> cancelled{false};  // The peer hung up, or the server stops.
};

Result<std::unique_ptr<ControlServer>> ControlServer::Start(std::string socket_path, MountControl& control,
                                                            const Clock& clock) {
  Result<UniqueFd> listener = MakeUnixSocket();
  if (!listener) return listener.error();
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) return SystemError(errno, "make an eventfd");
  const int backlog = static_cast<int>(kMaxConnections);
  Result<SocketFile> file = SocketFile::Listen(listener->get(), socket_path, backlog, clock);
  if (!file) return file.error();
  return std::unique_ptr<ControlServer>(
      new ControlServer(*std::move(listener), std::move(wake), *std::move(file), control, clock));
}

ControlServer::ControlServer(UniqueFd listener, UniqueFd wake, SocketFile file, MountControl& control,
                             const Clock& clock)
    : control_(control),
      clock_(clock),
      listener_(std::move(listener)),
      wake_(std::move(wake)),
      file_(std::move(file)),
      workers_(WorkerOptions()),
      thread_([this] { Serve(); }) {}

ControlServer::~ControlServer() {
  stopping_ = true;
  Wake();
  thread_.join();  // Cancels every connection on its way out.
  workers_.Stop();
}

void ControlServer::Wake() const {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // Fails only when it is set already.
}

void ControlServer::Serve() {
  ::pthread_setname_np(::pthread_self(), "s3o-control-io");
  std::vector<ConnectionPtr> connections;
  while (WaitForEvents(connections)) {
    // A request may have come whole while an earlier one was answered: look at all who are free.
    std::erase_if(connections, [this](const ConnectionPtr& connection) {
      return connection->cancelled || (!connection->busy && (connection->broken || !StartAnswer(connection)));
    });
    Accept(connections);
  }
  for (const ConnectionPtr& connection : connections) connection->cancelled = true;
}

// Waits, then takes in what came. False when the server stops.
bool ControlServer::WaitForEvents(std::vector<ConnectionPtr>& connections) {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
  for (const ConnectionPtr& connection : connections) {
    const bool listening = !connection->busy && !connection->ended;
    const short events = listening ? POLLIN : 0;  // A hang-up is told anyway.
    polled.push_back({connection->fd.get(), events, 0});
  }
  if (::poll(polled.data(), polled.size(), -1) < 0) return !stopping_;
  uint64_t wakes = 0;
  if (polled[0].revents != 0) (void)!::read(wake_.get(), &wakes, sizeof wakes);
  if (stopping_) return false;  // Asked after the wake-ups are taken: else the one that says so could be lost.
  for (size_t i = 0; i < connections.size(); ++i) {
    const short happened = polled[i + 2].revents;
    Connection& connection = *connections[i];
    if (happened == 0) continue;
    const bool gone = polled[i + 2].events == 0 ? (happened & (POLLHUP | POLLERR)) != 0 : !TakeInput(connection);
    if (gone) connection.cancelled = true;
  }
  return true;
}

void ControlServer::Accept(std::vector<ConnectionPtr>& connections) {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.is_open()) return PauseUnlessIdle(errno);
  const Result<uid_t> peer = PeerUser(fd.get());
  if (!peer || !MayAsk(*peer)) {
    log::Warning("control socket: a connection of user {} was refused", peer ? static_cast<int64_t>(*peer) : -1);
    return SendWithoutWaiting(fd.get(), {ErrorCode::kDenied, "only the mount's own user and root may ask"});
  }
  if (connections.size() >= kMaxConnections) {
    // The one that has been silent the longest makes room: silence must not lock others out.
    const auto silent = std::find_if(connections.begin(), connections.end(), [](const auto& c) { return !c->busy; });
    if (silent == connections.end()) {
      return SendWithoutWaiting(fd.get(), {ErrorCode::kUnavailable, "too many requests are being answered"});
    }
    connections.erase(silent);
  }
  connections.push_back(std::make_shared<Connection>(std::move(fd)));
}

// After a failed accept. Without a descriptor to be had the listener stays ready: do not spin on it.
void ControlServer::PauseUnlessIdle(int error) {
  if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
  log::Warning("{}", SystemError(error, "accept on the control socket").message);
  pollfd polled{wake_.get(), POLLIN, 0};
  (void)::poll(&polled, 1, kPauseMs);
}

// False when the peer is gone.
bool ControlServer::TakeInput(Connection& connection) {
  const Result<size_t> got = ReceiveSome(connection.fd.get(), connection.input);
  if (!got) return got.error().code == ErrorCode::kWouldBlock;
  connection.ended = *got == 0;
  return true;
}

// Hands a whole request, if there is one, to a worker. False: the connection is to be closed.
bool ControlServer::StartAnswer(const ConnectionPtr& connection) {
  std::string line;
  const bool whole = TakeLine(connection->input, line);
  if (line.size() > kMaxRequestBytes || connection->input.size() > kMaxRequestBytes) {
    SendWithoutWaiting(connection->fd.get(), {ErrorCode::kInvalidArgument, "the request is too long"});
    return false;
  }
  if (!whole) return !connection->ended;
  connection->busy = true;
  if (workers_.TrySubmit([this, connection, line] { Answer(*connection, line); })) return true;
  SendWithoutWaiting(connection->fd.get(), {ErrorCode::kUnavailable, "too many requests are being answered"});
  return false;
}

void ControlServer::Answer(Connection& connection, const std::string& line) {
  CallContext context;
  context.cancelled = &connection.cancelled;
  const std::string answer = AnswerTo(line, context);
  context.deadline = Deadline::After(clock_, kLongestSend);
  if (!SendAll(connection.fd.get(), answer, context, clock_)) connection.broken = true;
  connection.busy = false;
  Wake();
}

std::string ControlServer::AnswerTo(const std::string& line, const CallContext& context) try {
  const Result<ControlRequest> request = DecodeRequest(line);
  if (!request) return EncodeAnswer(Result<void>(request.error()));
  CallContext bounded = context;
  if (request->timeout_s && *request->timeout_s < kLongestTimeout) {
    const std::chrono::duration<double> timeout(std::max(0.0, *request->timeout_s));
    bounded.deadline = Deadline::After(clock_, std::chrono::duration_cast<Duration>(timeout));
  }
  if (request->call == "status") return EncodeAnswer(Result<StatusObject>(control_.GetStatus()));
  if (request->call == "resolve") return EncodeAnswer(control_.Resolve(request->path, bounded));
  if (request->call == "cache_stats") return EncodeAnswer(control_.GetCacheStats());
  if (request->call == "cache_clear") return EncodeAnswer(control_.ClearCache());
  if (request->call == "cache_verify") return EncodeAnswer(control_.VerifyCache(bounded));
  return EncodeAnswer(
      Result<void>(Error{ErrorCode::kUnsupported, "this mount knows no call \"" + request->call + "\""}));
} catch (const std::exception& exception) {
  log::Error("control socket: {}", exception.what());
  return EncodeAnswer(Result<void>(Error{ErrorCode::kSystem, "a fault in s3overlay: see its log"}));
}

}  // namespace s3overlay
