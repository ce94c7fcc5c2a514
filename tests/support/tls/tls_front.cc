// SPDX-License-Identifier: Apache-2.0
#include "support/tls/tls_front.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "support/loopback.h"

namespace s3overlay::testing {
namespace {

using TlsPtr = std::unique_ptr<SSL, Freer<SSL_free>>;

UniqueFd MakeSocket() { return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

UniqueFd ConnectTo(uint16_t port) {
  UniqueFd fd = MakeSocket();
  const sockaddr_in address = Loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.Reset();
  return fd;
}

bool SendOn(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace

TlsFront::TlsFront(uint16_t port_behind, TlsContextPtr context)
    : port_behind_(port_behind), listener_(MakeSocket()), context_(std::move(context)) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener_.get(), SOMAXCONN), 0);
  EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TlsFront::~TlsFront() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  std::list<Connection> ending;
  {
    MutexLock lock(mu_);
    CutConnections();
    ending.swap(connections_);
  }
  for (Connection& connection : ending) connection.thread.join();
}

void TlsFront::Replace(TlsContextPtr context) {
  MutexLock lock(mu_);
  context_ = std::move(context);
  CutConnections();
}

void TlsFront::CutConnections() {
  for (const Connection& connection : connections_) {
    ::shutdown(connection.client.get(), SHUT_RDWR);
    ::shutdown(connection.behind.get(), SHUT_RDWR);
  }
}

void TlsFront::Accept() {
  while (true) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.is_open()) return;
    Start(std::move(client));
  }
}

void TlsFront::Start(UniqueFd client) {
  UniqueFd behind = ConnectTo(port_behind_);
  if (!behind.is_open()) return;
  MutexLock lock(mu_);
  SSL* const tls = SSL_new(context_.get());
  Connection& connection = connections_.emplace_back();
  connection.client = std::move(client);
  connection.behind = std::move(behind);
  connection.thread = std::thread([this, &connection, tls] { Serve(connection, tls); });
}

// One thread, for two may not use one TLS connection. Both halves end together.
void TlsFront::Serve(const Connection& connection, SSL* accepted) {
  const TlsPtr tls(accepted);
  const int client = connection.client.get();
  const int behind = connection.behind.get();
  SSL_set_fd(tls.get(), client);
  std::array<char, 64 * 1024> buffer{};
  bool goes_on = SSL_accept(tls.get()) == 1;
  while (goes_on) {
    std::array<pollfd, 2> ready = {
        {{.fd = client, .events = POLLIN, .revents = 0}, {.fd = behind, .events = POLLIN, .revents = 0}}};
    if (SSL_pending(tls.get()) == 0) ::poll(ready.data(), ready.size(), -1);
    if (SSL_pending(tls.get()) > 0 || ready[0].revents != 0) {
      const int got = SSL_read(tls.get(), buffer.data(), static_cast<int>(buffer.size()));
      goes_on = got > 0 && SendOn(behind, buffer.data(), static_cast<size_t>(got));
    }
    if (goes_on && ready[1].revents != 0) {
      const ssize_t got = ::recv(behind, buffer.data(), buffer.size(), 0);
      goes_on = got > 0 && SSL_write(tls.get(), buffer.data(), static_cast<int>(got)) > 0;
    }
  }
  ::shutdown(client, SHUT_RDWR);
  ::shutdown(behind, SHUT_RDWR);
}

}  // namespace s3overlay::testing
