// SPDX-License-Identifier: Apache-2.0
#include "support/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace s3overlay::testing {
namespace {

sockaddr_in AddressOf(const HttpServer::Place& place) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(place.port);
  address.sin_addr.s_addr = htonl(place.address);
  return address;
}

// A socket that is bound there; `port` is told where.
UniqueFd Bind(const HttpServer::Place& place, uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = AddressOf(place);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0) {
    throw std::runtime_error("no such port of this machine to be had");
  }
  port = ntohs(address.sin_port);
  return fd;
}

std::string UrlOf(uint16_t port) { return fmt::format("http://127.0.0.1:{}", port); }

// Takes the text up to `end` off the front of `rest`.
std::string_view TakeUntil(std::string_view& rest, std::string_view end) {
  const size_t at = rest.find(end);
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + end.size());
  return taken;
}

ServedRequest ParseHead(std::string_view head) {
  ServedRequest request;
  std::string_view line = TakeUntil(head, "\r\n");
  request.method = TakeUntil(line, " ");
  request.target = TakeUntil(line, " ");
  while (!head.empty()) {
    std::string_view header = TakeUntil(head, "\r\n");
    const std::string name(TakeUntil(header, ":"));
    header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
    request.headers.push_back({name, std::string(header)});
  }
  return request;
}

}  // namespace

const std::string* ServedRequest::FindHeader(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const HttpHeader& header) {
    HttpResponse one;
    one.headers = {header};
    return one.FindHeader(name) != nullptr;
  });
  return found == headers.end() ? nullptr : &found->value;
}

void ServedConnection::Reply(int status, const std::vector<HttpHeader>& headers, std::string_view body) {
  std::string head = fmt::format("HTTP/1.1 {} Scripted\r\n", status);
  bool has_length = false;
  for (const HttpHeader& header : headers) {
    head += fmt::format("{}: {}\r\n", header.name, header.value);
    has_length = has_length || header.name == "Content-Length";
  }
  if (!has_length && status != 204 && status != 304) head += fmt::format("Content-Length: {}\r\n", body.size());
  SendRaw(head + "\r\n" + std::string(answers_head_ ? std::string_view() : body));
}

void ServedConnection::SendRaw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void ServedConnection::StallUntilClosed() {
  closed_ = true;
  while (ReadMore()) {
  }
}

bool ServedConnection::ReadMore() {
  std::array<char, 16 * 1024> buffer{};
  const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got > 0) input_.append(buffer.data(), static_cast<size_t>(got));
  return got > 0;
}

bool ServedConnection::ReadRequest(ServedRequest& request) {
  size_t head_end = 0;
  while ((head_end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore()) return false;
  }
  request = ParseHead(std::string_view(input_).substr(0, head_end));
  input_.erase(0, head_end + 4);
  const std::string* const length = request.FindHeader("Content-Length");
  const size_t body_size = length != nullptr ? std::strtoull(length->c_str(), nullptr, 10) : 0;
  while (input_.size() < body_size) {
    if (!ReadMore()) return false;
  }
  request.body = input_.substr(0, body_size);
  input_.erase(0, body_size);
  answers_head_ = request.method == "HEAD";
  return true;
}

HttpServer::HttpServer(Place place, Handler handler) : handler_(std::move(handler)), listener_(Bind(place, port_)) {
  if (::listen(listener_.get(), 128) != 0) throw std::runtime_error("listen");
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  std::list<Connection> open;
  {
    MutexLock lock(mu_);
    open.swap(open_);
  }
  for (Connection& connection : open) ::shutdown(connection.fd.get(), SHUT_RDWR);
  for (Connection& connection : open) connection.thread.join();
}

std::string HttpServer::url() const { return UrlOf(port_); }

void HttpServer::Accept() {
  while (true) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.is_open()) return;
    ++connections_;
    ++served_;
    const int number = fd.get();
    MutexLock lock(mu_);
    open_.push_back({std::move(fd), std::thread([this, number] { Serve(number); })});
  }
}

void HttpServer::Serve(int fd) {
  ServedConnection connection(fd);
  ServedRequest request;
  while (!connection.closed_ && connection.ReadRequest(request)) {
    ++requests_;
    handler_(request, connection);
  }
  ::shutdown(fd, SHUT_RDWR);
  --served_;
}

RefusedPort::RefusedPort() : fd_(Bind({}, port_)) {}

std::string RefusedPort::url() const { return UrlOf(port_); }

}  // namespace s3overlay::testing
