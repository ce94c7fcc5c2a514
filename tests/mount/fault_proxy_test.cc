// SPDX-License-Identifier: Apache-2.0
//
// The proxy that the other tests trust, before a scripted server.
#include "support/mount/fault_proxy.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <future>
#include <string>

#include "support/http_server.h"
#include "support/mount/process.h"

namespace s3overlay::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class FaultProxyTest : public ::testing::Test {
 protected:
  // Everything that one GET on a connection of its own brings, as it stood on the wire; empty when nothing came.
  std::string Get(const std::string& target) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(proxy_.url().c_str() + proxy_.url().rfind(':') + 1)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "refused";
    SendAll(fd.get(), "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    ::shutdown(fd.get(), SHUT_WR);
    SocketReader reader(fd.get());
    std::string all;
    std::array<char, 4096> buffer{};
    while (const size_t got = reader.ReadSome(buffer)) all.append(buffer.data(), got);
    return all;
  }

  HttpServer server_{[](const ServedRequest& request, ServedConnection& connection) {
    connection.Reply(200, {{"ETag", "\"e\""}}, "body of " + request.target);
  }};
  FaultProxy proxy_{server_.port()};
};

TEST_F(FaultProxyTest, PassesOnAndCounts) {
  EXPECT_THAT(Get("/bucket/a"), EndsWith("body of /bucket/a"));
  EXPECT_THAT(Get("/bucket?list-type=2&prefix=a"), EndsWith("prefix=a"));
  EXPECT_EQ(proxy_.Count("GET"), 1);
  EXPECT_EQ(proxy_.Count("LIST", "prefix=a"), 1);
  EXPECT_EQ(proxy_.Count(""), 2);
}

TEST_F(FaultProxyTest, RulesHoldForWhatTheyMatchAndAsOftenAsTheySay) {
  proxy_.AddRule({.target_part = "/a", .fault = {.answer = S3ErrorAnswer("503 Slow Down", "SlowDown")}, .count = 1});
  proxy_.AddRule({.operation = "GET", .fault = {.rewrite = [](HttpMessage& answer) {
                                        answer.Set("etag", "other");
                                        answer.body = "rewritten";
                                      }}});
  EXPECT_THAT(Get("/b"), HasSubstr("etag: other\r\nContent-Length: 9\r\n\r\nrewritten"));
  EXPECT_THAT(Get("/a"), StartsWith("HTTP/1.1 503 Slow Down\r\n"));
  EXPECT_EQ(server_.requests(), 1);
  EXPECT_THAT(Get("/a"), EndsWith("rewritten"));
  proxy_.ClearRules();
  EXPECT_THAT(Get("/a"), EndsWith("body of /a"));
}

TEST_F(FaultProxyTest, CutsAndStallsAtTheByte) {
  proxy_.AddRule({.target_part = "/cut", .fault = {.cut_after = 4}});
  proxy_.AddRule({.target_part = "/stall", .fault = {.stall_after = 4}});
  EXPECT_THAT(Get("/cut"), EndsWith("\r\n\r\nbody"));
  auto stalled = std::async(std::launch::async, [this] { return Get("/stall"); });
  EXPECT_TRUE(Eventually([this] { return proxy_.stalled() == 1; }));
  proxy_.Release();
  EXPECT_THAT(stalled.get(), EndsWith("body of /stall"));
}

TEST_F(FaultProxyTest, TheStoreComesAndGoes) {
  proxy_.SetStore(FaultProxy::Store::kRefused);
  EXPECT_EQ(Get("/a"), "refused");
  proxy_.SetStore(FaultProxy::Store::kHangsUp);
  EXPECT_EQ(Get("/a"), "");
  proxy_.SetStore(FaultProxy::Store::kSilent);
  auto waiting = std::async(std::launch::async, [this] { return Get("/a"); });
  EXPECT_TRUE(Eventually([this] { return proxy_.Count("GET") == 1; }));
  proxy_.SetStore(FaultProxy::Store::kUp);
  EXPECT_THAT(waiting.get(), EndsWith("body of /a"));
}

TEST_F(FaultProxyTest, AnOutageEndsWhatIsUnderWay) {
  proxy_.AddRule({.fault = {.stall_after = 0}});
  auto stalled = std::async(std::launch::async, [this] { return Get("/a"); });
  EXPECT_TRUE(Eventually([this] { return proxy_.stalled() == 1; }));
  proxy_.SetStore(FaultProxy::Store::kRefused);
  EXPECT_THAT(stalled.get(), EndsWith("\r\n\r\n"));
}

}  // namespace
}  // namespace s3overlay::testing
