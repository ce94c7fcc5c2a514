// SPDX-License-Identifier: Apache-2.0
#include "support/s3/plain_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {
namespace {

constexpr std::string_view kScheme = "http://";

UniqueFd Connect(const std::string& host_and_port) {
  const size_t colon = host_and_port.find(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(
      colon == std::string::npos ? 80 : std::strtoul(host_and_port.c_str() + colon + 1, nullptr, 10)));
  if (::inet_pton(AF_INET, host_and_port.substr(0, colon).c_str(), &address.sin_addr) != 1) return UniqueFd();
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return UniqueFd();
  return fd;
}

std::string Serialize(const HttpRequest& request, const std::string& host, std::string_view target) {
  std::string text = request.method + " " + std::string(target) + " HTTP/1.1\r\nHost: " + host + "\r\n";
  for (const HttpHeader& header : request.headers) text += header.name + ": " + header.value + "\r\n";
  return text + "Connection: close\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" +
         request.body;
}

}  // namespace

int SendPlainHttp(const HttpRequest& request) {
  if (!request.url.starts_with(kScheme)) return 0;
  const std::string_view rest = std::string_view(request.url).substr(kScheme.size());
  const std::string host(rest.substr(0, rest.find('/')));
  const UniqueFd fd = Connect(host);
  if (!fd.is_open()) return 0;
  const std::string text = Serialize(request, host, rest.substr(host.size()));
  if (::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return 0;
  std::array<char, 13> start{};  // "HTTP/1.1 204 "
  if (::recv(fd.get(), start.data(), start.size() - 1, MSG_WAITALL) != static_cast<ssize_t>(start.size() - 1)) return 0;
  return std::atoi(start.data() + 9);
}

}  // namespace s3overlay::testing
