// SPDX-License-Identifier: Apache-2.0
//
// The proxy that the other tests trust, before a scripted server.
#include "support/mount/fault_proxy.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <future>
#include <string>

#include "support/http_server.h"
#include "support/loopback.h"
#include "support/mount/process.h"

namespace s3overlay::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FaultProxyTest : public ::testing::Test {
 protected:
  // A connection of its own that has sent one GET; not open when nobody listens.
  UniqueFd Ask(const std::string& target) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(proxy_.port());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    SendAll(fd.get(), "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return fd;
  }
  // Everything up to the end of what the peer sends.
  static std::string ReadToEnd(int fd) {
    SocketReader reader(fd);
    std::string all;
    std::array<char, 4096> buffer{};
    while (const size_t got = reader.ReadSome(buffer)) all.append(buffer.data(), got);
    return all;
  }
  // Everything that one GET brings, as it stood on the wire; empty when nothing came.
  std::string Get(const std::string& target) {
    const UniqueFd fd = Ask(target);
    if (!fd.is_open()) return "refused";
    ::shutdown(fd.get(), SHUT_WR);
    return ReadToEnd(fd.get());
  }
  // Whether the peer has closed all of the connection within that time: it resets what it is sent then.
  static bool ComesToReset(int fd, std::chrono::seconds limit) {
    return Eventually([fd] { return !SendAll(fd, "x"); }, limit);
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

TEST_F(FaultProxyTest, AHalfCloseEndsTheBodyAndReadsOn) {
  proxy_.AddRule({.target_part = "/half", .fault = {.cut_after = 4, .half_close = true}});
  proxy_.AddRule({.target_part = "/cut", .fault = {.cut_after = 4}});
  const UniqueFd half = Ask("/half");
  EXPECT_THAT(ReadToEnd(half.get()), EndsWith("\r\n\r\nbody"));
  EXPECT_FALSE(ComesToReset(half.get(), std::chrono::seconds(1)));
  const UniqueFd cut = Ask("/cut");
  EXPECT_THAT(ReadToEnd(cut.get()), EndsWith("\r\n\r\nbody"));
  EXPECT_TRUE(ComesToReset(cut.get(), std::chrono::seconds(20)));
}

TEST_F(FaultProxyTest, ARateIsNeverExceededAndTheBodyIsWhole) {
  proxy_.AddRule({.fault = {.bytes_per_second = 10}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Get("/a"), EndsWith("\r\n\r\nbody of /a"));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST_F(FaultProxyTest, AnOutageEndsATrickle) {
  proxy_.AddRule({.fault = {.bytes_per_second = 1}});
  auto trickle = std::async(std::launch::async, [this] { return Get("/a"); });
  EXPECT_TRUE(Eventually([this] { return proxy_.Count("GET") == 1; }));
  proxy_.SetStore(FaultProxy::Store::kRefused);
  EXPECT_THAT(trickle.get(), Not(HasSubstr("body of")));
}

TEST_F(FaultProxyTest, ALengthThatIsFalseIsPassedOn) {
  const auto append = [](HttpMessage& answer) { answer.body += " and more"; };
  proxy_.AddRule({.fault = {.rewrite = append, .false_length = true}, .count = 1});
  proxy_.AddRule({.fault = {.rewrite = append}});
  EXPECT_THAT(Get("/a"), AllOf(HasSubstr("Content-Length: 10\r\n"), EndsWith("\r\n\r\nbody of /a and more")));
  EXPECT_THAT(Get("/a"), AllOf(HasSubstr("Content-Length: 19\r\n"), EndsWith("\r\n\r\nbody of /a and more")));
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
