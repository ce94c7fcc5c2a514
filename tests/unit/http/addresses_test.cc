// SPDX-License-Identifier: Apache-2.0
//
// A name with several addresses. The resolver of the C library is a fake for that one name.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <cstdlib>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http/curl_transport.h"
#include "support/http_server.h"

namespace s3overlay {
namespace {

using testing::HttpServer;
using testing::ServedConnection;
using testing::ServedRequest;

constexpr char kName[] = "many.test";
constexpr int kAddresses = 4;
constexpr in_addr_t kFirst = INADDR_LOOPBACK;

// In one piece of malloc's, as freeaddrinfo expects it.
addrinfo* MakeAddress(in_addr_t address, uint16_t port) {
  struct Piece {
    addrinfo info;
    sockaddr_in where;
  };
  auto* const piece = static_cast<Piece*>(std::calloc(1, sizeof(Piece)));
  piece->where.sin_family = AF_INET;
  piece->where.sin_port = htons(port);
  piece->where.sin_addr.s_addr = htonl(address);
  piece->info.ai_family = AF_INET;
  piece->info.ai_socktype = SOCK_STREAM;
  piece->info.ai_protocol = IPPROTO_TCP;
  piece->info.ai_addrlen = sizeof(sockaddr_in);
  piece->info.ai_addr = reinterpret_cast<sockaddr*>(&piece->where);
  return &piece->info;
}

// On each of them the same port.
class Servers {
 public:
  explicit Servers(const HttpServer::Handler& handler, int count = kAddresses) {
    uint16_t port = 0;
    for (int i = 0; i < count; ++i) {
      servers_.emplace_back(HttpServer::Place{.address = kFirst + static_cast<in_addr_t>(i), .port = port}, handler);
      port = servers_.front().port();
    }
  }
  std::string url() const { return "http://" + std::string(kName) + ":" + std::to_string(servers_.front().port()); }
  int CountUsed() const {
    int used = 0;
    for (const HttpServer& server : servers_) used += server.connections() > 0 ? 1 : 0;
    return used;
  }

 private:
  std::list<HttpServer> servers_;
};

Result<HttpResponse> Get(CurlTransport& transport, const std::string& url) {
  return transport.Send({.method = "GET", .url = url, .headers = {}, .body = "", .bypass_proxy = true}, {}, {});
}

TEST(AddressesTest, ConnectionsSpreadOverAllOfAName) {
  constexpr int kConnections = 32;
  Servers servers([](const ServedRequest&, ServedConnection& connection) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // So that they are in use at one time.
    connection.Reply(200);
  });
  const SystemClock clock;
  CurlTransport transport({}, clock);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kConnections; ++i) {
    threads.emplace_back([&] {
      const auto response = Get(transport, servers.url());
      EXPECT_TRUE(response) << response.error().message;
    });
  }
  threads.clear();
  // Of four addresses drawn 32 times one or more stay out in one of 2,500 runs, and two in one of 700 million.
  EXPECT_GE(servers.CountUsed(), kAddresses - 1);
}

TEST(AddressesTest, OneThatRefusesIsPassedOver) {
  Servers servers(
      [](const ServedRequest&, ServedConnection& connection) {
        connection.Reply(200);
        connection.Close();
      },
      1);
  const SystemClock clock;
  CurlTransport transport({}, clock);
  for (int i = 0; i < 4; ++i) {
    const auto response = Get(transport, servers.url());
    EXPECT_TRUE(response) << response.error().message;
  }
}

}  // namespace
}  // namespace s3overlay

// Takes the place of the C library's, for curl too.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  using namespace s3overlay;
  if (node == nullptr || std::string_view(node) != kName) {
    static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(node, service, hints, result);
  }
  const auto port = static_cast<uint16_t>(service == nullptr ? 0 : std::atoi(service));
  addrinfo* list = nullptr;
  for (int i = kAddresses - 1; i >= 0; --i) {
    addrinfo* const address = MakeAddress(kFirst + static_cast<in_addr_t>(i), port);
    address->ai_next = list;
    list = address;
  }
  *result = list;
  return 0;
}
