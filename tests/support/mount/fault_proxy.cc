// SPDX-License-Identifier: Apache-2.0
#include "support/mount/fault_proxy.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

#include "support/loopback.h"

namespace s3overlay::testing {
namespace {

using std::chrono::steady_clock;

constexpr uint64_t kStepsPerSecond = 20;  // Of a body at a rate, unless that is less than a byte each.

UniqueFd BoundSocket(uint16_t port, const NetNamespace* network) {
  std::optional<NetNamespace::Visit> visit;
  if (network != nullptr) visit.emplace(*network);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address = Loopback(port);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(fmt::format("port {} of 127.0.0.1 is not to be had", port));
  }
  return fd;
}

uint16_t PortOf(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

std::string MethodOf(const HttpMessage& request) { return request.start_line.substr(0, request.start_line.find(' ')); }

std::string TargetOf(const HttpMessage& request) {
  const size_t begin = request.start_line.find(' ') + 1;
  return request.start_line.substr(begin, request.start_line.find(' ', begin) - begin);
}

std::string OperationOf(const HttpMessage& request) {
  const std::string target = TargetOf(request);
  const bool lists = target.find("list-type=") != std::string::npos;
  return lists ? "LIST" : MethodOf(request);
}

bool Matches(std::string_view wanted_operation, std::string_view wanted_part, const ProxiedRequest& request) {
  return (wanted_operation.empty() || wanted_operation == request.operation) &&
         request.target.find(wanted_part) != std::string::npos;
}

bool IsCut(FaultProxy::Store store) {
  return store == FaultProxy::Store::kRefused || store == FaultProxy::Store::kHangsUp;
}

bool AnswerHasBody(const HttpMessage& request, const HttpMessage& answer) {
  return MethodOf(request) != "HEAD" && answer.Status() != 204 && answer.Status() != 304;
}

// Head and body go in writes of their own; held back for each other they would take 40 ms more (tcp(7), TCP_NODELAY).
void SendAtOnce(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// The next close sends RST (socket(7), SO_LINGER).
void MakeCloseReset(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

// The peer learns that no more will come. What it still says is read, until it or an outage ends the connection.
void CloseSendingHalf(int fd) {
  ::shutdown(fd, SHUT_WR);
  SocketReader reader(fd);
  for (std::array<char, 4096> buffer{}; reader.ReadSome(buffer) > 0;) continue;
}

}  // namespace

HttpMessage S3ErrorAnswer(std::string_view status, std::string_view code) {
  return {.start_line = fmt::format("HTTP/1.1 {}", status),
          .headers = {{"Content-Type", "application/xml"}},
          .body = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code></Error>", code)};
}

std::vector<FaultRule> Archived(const std::string& name) {
  const auto in_lists = [end_of_key = name + "</Key>"](HttpMessage& answer) {
    for (size_t at = 0; (at = answer.body.find(end_of_key, at)) != std::string::npos; ++at) {
      const size_t standard = answer.body.find("STANDARD", at);
      if (standard != std::string::npos) answer.body.replace(standard, 8, "GLACIER");
    }
  };
  const auto in_headers = [](HttpMessage& answer) { answer.Set("x-amz-storage-class", "GLACIER"); };
  return {{.operation = "LIST", .fault = {.rewrite = in_lists}},
          {.operation = "HEAD", .target_part = name, .fault = {.rewrite = in_headers}},
          {.operation = "GET",
           .target_part = name,
           .fault = {.answer = S3ErrorAnswer("403 Forbidden", "InvalidObjectState")}}};
}

FaultProxy::FaultProxy(uint16_t store_port, const NetNamespace* network)
    : store_port_(store_port),
      network_(network),
      keeper_(BoundSocket(0, network)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      port_(PortOf(keeper_.get())) {
  acceptor_ = std::thread([this] { Accept(); });
  SetStore(Store::kUp);
}

FaultProxy::~FaultProxy() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    CutConnections();
    changed_.SignalAll();
  }
  Wake();
  acceptor_.join();
  std::list<Connection> ending;
  {
    MutexLock lock(mu_);
    ending.swap(connections_);
  }
  for (Connection& connection : ending) connection.thread.join();
}

std::string FaultProxy::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void FaultProxy::Wake() { ::eventfd_write(wake_.get(), 1); }

void FaultProxy::SetStore(Store store) {
  MutexLock lock(mu_);
  store_ = store;
  if (IsCut(store)) CutConnections();
  changed_.SignalAll();
  Wake();
  while (applied_ != store_) changed_.Wait(mu_);
}

// The threads notice and close; shutdown() is what another thread may safely do to a socket.
void FaultProxy::CutConnections() {
  for (const Connection& connection : connections_) {
    if (connection.client.is_open()) ::shutdown(connection.client.get(), SHUT_RDWR);
    if (connection.store.is_open()) ::shutdown(connection.store.get(), SHUT_RDWR);
  }
}

void FaultProxy::AddRule(FaultRule rule) {
  MutexLock lock(mu_);
  rules_.push_back(std::move(rule));
}

void FaultProxy::ClearRules() {
  MutexLock lock(mu_);
  rules_.clear();
}

void FaultProxy::Release() {
  MutexLock lock(mu_);
  ++releases_;
  changed_.SignalAll();
}

int FaultProxy::stalled() const {
  MutexLock lock(mu_);
  return stalled_;
}

std::vector<ProxiedRequest> FaultProxy::Requests() const {
  MutexLock lock(mu_);
  return requests_;
}

int FaultProxy::Count(std::string_view operation, std::string_view target_part) const {
  MutexLock lock(mu_);
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(), [&](const ProxiedRequest& request) {
    return Matches(operation, target_part, request);
  }));
}

// Makes the listener what the state asks for; false when the proxy stops.
bool FaultProxy::ApplyStore(UniqueFd& listener) {
  MutexLock lock(mu_);
  if (stopping_) return false;
  if (store_ == Store::kRefused) {
    listener.Reset();
  } else if (!listener.is_open()) {
    listener = BoundSocket(port_, network_);
    ::listen(listener.get(), SOMAXCONN);
  }
  applied_ = store_;
  changed_.SignalAll();
  return true;
}

void FaultProxy::Accept() {
  for (UniqueFd listener; ApplyStore(listener);) {
    std::array<pollfd, 2> ready = {{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = listener.get(), .events = POLLIN, .revents = 0}}};  // poll skips fd -1.
    ::poll(ready.data(), ready.size(), -1);
    eventfd_t woken = 0;
    ::eventfd_read(wake_.get(), &woken);
    if (!listener.is_open()) continue;
    UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ReapConnections();
    if (client.is_open()) StartConnection(std::move(client));
  }
}

void FaultProxy::StartConnection(UniqueFd client) {
  SendAtOnce(client.get());
  MutexLock lock(mu_);
  if (stopping_ || IsCut(store_)) return;
  Connection& connection = connections_.emplace_back();
  connection.client = std::move(client);
  connection.thread = std::thread([this, &connection] { Serve(connection); });
}

void FaultProxy::ReapConnections() {
  std::list<Connection> ended;
  {
    MutexLock lock(mu_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto current = it++;
      if (current->done) ended.splice(ended.end(), connections_, current);
    }
  }
  for (Connection& connection : ended) connection.thread.join();
}

void FaultProxy::Serve(Connection& connection) {
  SocketReader client(connection.client.get());
  auto store = std::make_unique<SocketReader>(-1);
  for (HttpMessage request; client.ReadHead(request) && client.ReadBody(request);) {
    if (!Exchange(connection, *store, request)) break;
  }
  MutexLock lock(mu_);
  connection.client.Reset();
  connection.store.Reset();
  connection.done = true;
}

bool FaultProxy::Exchange(Connection& connection, SocketReader& store, HttpMessage& request) {
  const Fault fault = Admit(request);
  if (!WaitUntilAnswering(fault.delay)) return false;
  HttpMessage answer;
  if (fault.answer) {
    answer = *fault.answer;
    if (!answer.ContentLength()) answer.Set("Content-Length", std::to_string(answer.body.size()));
  } else if (!AskStore(connection, store, request, answer)) {
    return false;
  }
  return Deliver(connection.client.get(), store, fault, AnswerHasBody(request, answer), std::move(answer));
}

// Counts the request and finds what is to happen to it.
Fault FaultProxy::Admit(const HttpMessage& request) {
  MutexLock lock(mu_);
  const ProxiedRequest& seen = requests_.emplace_back(ProxiedRequest{.operation = OperationOf(request),
                                                                     .target = TargetOf(request),
                                                                     .message = request,
                                                                     .came_at = steady_clock::now()});
  for (FaultRule& rule : rules_) {
    if (rule.count == 0 || !Matches(rule.operation, rule.target_part, seen)) continue;
    --rule.count;
    return rule.fault;
  }
  return {};
}

// Past the delay and past any silence; false when there will be no answer at all.
bool FaultProxy::WaitUntilAnswering(std::chrono::milliseconds delay) {
  const auto answer_at = steady_clock::now() + delay;
  MutexLock lock(mu_);
  while (!stopping_ && !IsCut(store_)) {
    const auto left = answer_at - steady_clock::now();
    if (store_ == Store::kUp && left <= steady_clock::duration::zero()) return true;
    changed_.WaitFor(mu_, store_ == Store::kUp ? left : std::chrono::hours(1));
  }
  return false;
}

bool FaultProxy::ConnectToStore(Connection& connection, SocketReader& store) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(store_port_);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
  SendAtOnce(fd.get());
  MutexLock lock(mu_);
  if (stopping_ || IsCut(store_)) return false;
  store = SocketReader(fd.get());
  connection.store = std::move(fd);
  return true;
}

// Sends the request on and reads the answer's head. A kept connection that the store has closed is opened anew.
bool FaultProxy::AskStore(Connection& connection, SocketReader& store, const HttpMessage& request,
                          HttpMessage& answer) {
  const std::string bytes = request.Head() + request.body;
  const auto ask = [&] { return SendAll(connection.store.get(), bytes) && store.ReadHead(answer); };
  if (connection.store.is_open() && ask()) return true;
  return ConnectToStore(connection, store) && ask();
}

bool FaultProxy::Deliver(int client, SocketReader& store, const Fault& fault, bool has_body, HttpMessage answer) {
  const bool whole = has_body && (fault.answer || fault.rewrite || answer.IsChunked());
  if (whole && !fault.answer && !store.ReadBody(answer)) return false;
  if (fault.rewrite) {
    fault.rewrite(answer);
    if (whole && !fault.false_length) answer.Set("Content-Length", std::to_string(answer.body.size()));
  }
  if (!SendAll(client, answer.Head())) return false;
  uint64_t sent = 0;
  if (whole) return SendPiece(client, fault, sent, answer.body);
  std::vector<char> buffer(64 * 1024);
  for (uint64_t left = has_body ? answer.ContentLength().value_or(0) : 0; left > 0;) {
    const size_t got = store.ReadSome(std::span(buffer).first(std::min<uint64_t>(left, buffer.size())));
    if (got == 0 || !SendPiece(client, fault, sent, {buffer.data(), got})) return false;
    left -= got;
  }
  return true;
}

// A piece of the body up to where the fault happens to it; false when the connection is to end there.
bool FaultProxy::SendPiece(int client, const Fault& fault, uint64_t& sent, std::string_view piece) {
  if (!WaitUntilAnswering({})) return false;
  if (fault.stall_after && sent <= *fault.stall_after && *fault.stall_after < sent + piece.size()) {
    const size_t before = *fault.stall_after - sent;
    if (!SendAtRate(client, fault, piece.substr(0, before)) || !WaitForRelease()) return false;
    piece.remove_prefix(before);
    sent += before;
  }
  const bool cut = fault.cut_after && *fault.cut_after < sent + piece.size();
  if (cut) piece = piece.substr(0, *fault.cut_after - std::min(sent, *fault.cut_after));
  if (!SendAtRate(client, fault, piece)) return false;
  sent += piece.size();
  if (cut && fault.reset) MakeCloseReset(client);
  if (cut && fault.half_close) CloseSendingHalf(client);
  return !cut;
}

// Each step comes after its time, so that the rate is never more. A step that is late is not made up for.
bool FaultProxy::SendAtRate(int client, const Fault& fault, std::string_view bytes) {
  if (!fault.bytes_per_second) return SendAll(client, bytes);
  const uint64_t rate = std::max<uint64_t>(*fault.bytes_per_second, 1);
  const uint64_t step = std::max<uint64_t>(rate / kStepsPerSecond, 1);
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, step);
    const std::chrono::milliseconds time(1000 * part.size() / rate);
    if (!WaitUntilAnswering(time) || !SendAll(client, part)) return false;
    bytes.remove_prefix(part.size());
  }
  return true;
}

bool FaultProxy::WaitForRelease() {
  MutexLock lock(mu_);
  const uint64_t before = releases_;
  ++stalled_;
  changed_.SignalAll();
  while (!stopping_ && !IsCut(store_) && releases_ == before) changed_.Wait(mu_);
  --stalled_;
  return !stopping_ && !IsCut(store_);
}

}  // namespace s3overlay::testing
