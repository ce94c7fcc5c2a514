// SPDX-License-Identifier: Apache-2.0
#include "http/curl_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <latch>
#include <thread>

#include "support/fake_clock.h"
#include "support/http_server.h"

namespace s3overlay {
namespace {

using testing::FakeClock;
using ::testing::HasSubstr;
using testing::HttpServer;
using ::testing::Not;
using testing::RefusedPort;
using testing::ServedConnection;
using testing::ServedRequest;

// What a sink was told.
struct Received {
  std::vector<std::string> events;  // "headers 200", then "body" once.
  std::string body;

  HttpSink Sink() {
    return {[this](const HttpResponse& response) -> Result<void> {
              events.push_back("headers " + std::to_string(response.status));
              return {};
            },
            [this](std::span<const std::byte> bytes) -> Result<void> {
              if (body.empty()) events.push_back("body");
              body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
              return {};
            }};
  }
};

class CurlTransportTest : public ::testing::Test {
 protected:
  Result<HttpResponse> Get(const std::string& url, const HttpSink& sink = {}, const CallContext& context = {}) {
    return transport_.Send({.method = "GET", .url = url, .headers = {}, .body = "", .bypass_proxy = true}, sink,
                           context);
  }

  const SystemClock clock_;
  CurlTransport transport_{CurlTransportOptions{}, clock_};
};

TEST_F(CurlTransportTest, DeliversHeadersThenBody) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    EXPECT_EQ(*request.FindHeader("Range"), "bytes=0-9");
    EXPECT_EQ(*request.FindHeader("User-Agent"), "s3overlay");
    EXPECT_EQ(request.FindHeader("Accept-Encoding"), nullptr);
    EXPECT_EQ(request.FindHeader("Accept"), nullptr);
    connection.SendRaw("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    connection.Reply(206, {{"ETag", "\"abc\""}}, std::string(300'000, 'b'));
  });
  Received received;
  const auto response = transport_.Send({.method = "GET",
                                         .url = server.url() + "/key",
                                         .headers = {{"Range", "bytes=0-9"}},
                                         .body = "",
                                         .bypass_proxy = true},
                                        received.Sink(), {});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 206);
  EXPECT_EQ(*response->FindHeader("etag"), "\"abc\"");
  EXPECT_EQ(response->FindHeader("Link"), nullptr);
  EXPECT_EQ(received.events, (std::vector<std::string>{"headers 206", "body"}));
  EXPECT_EQ(received.body, std::string(300'000, 'b'));
}

TEST_F(CurlTransportTest, HeadAndEmptyBodiesAnnounceTheirHeaders) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    if (request.method == "HEAD") return connection.Reply(200, {{"Content-Length", "12345"}});
    connection.Reply(204);
  });
  Received head;
  const auto response = transport_.Send(
      {.method = "HEAD", .url = server.url(), .headers = {}, .body = "", .bypass_proxy = true}, head.Sink(), {});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(*response->FindHeader("Content-Length"), "12345");
  EXPECT_EQ(head.events, std::vector<std::string>{"headers 200"});
  Received empty;
  ASSERT_TRUE(Get(server.url(), empty.Sink()));
  EXPECT_EQ(empty.events, std::vector<std::string>{"headers 204"});
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, PutsABodyWithNoHeadersOfCurlsOwn) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    EXPECT_EQ(request.method, "PUT");
    EXPECT_EQ(request.FindHeader("Expect"), nullptr);
    EXPECT_EQ(request.FindHeader("Content-Type"), nullptr);
    EXPECT_NE(request.FindHeader("X-Empty"), nullptr);
    connection.Reply(200, {}, std::to_string(request.body.size()));
  });
  Received received;
  ASSERT_TRUE(transport_.Send({.method = "PUT",
                               .url = server.url(),
                               .headers = {{"X-Empty", ""}},
                               .body = std::string(2'000'000, '\0'),
                               .bypass_proxy = true},
                              received.Sink(), {}));
  EXPECT_EQ(received.body, "2000000");
}

TEST_F(CurlTransportTest, SendsThePathAsItIs) {
  std::string target;
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    target = request.target;
    connection.Reply(200);
  });
  ASSERT_TRUE(Get(server.url() + "/a/../b//./c%2F?x=%20y&z"));
  EXPECT_EQ(target, "/a/../b//./c%2F?x=%20y&z");
}

TEST_F(CurlTransportTest, ReturnsRedirectsInsteadOfFollowingThem) {
  HttpServer server(
      [](const ServedRequest&, ServedConnection& connection) { connection.Reply(302, {{"Location", "/elsewhere"}}); });
  const auto response = Get(server.url());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(CurlTransportTest, TakesANewConnectionWhenTheServerClosedTheIdleOne) {
  HttpServer server([](const ServedRequest&, ServedConnection& connection) {
    connection.Reply(200, {}, "x");
    connection.Close();
  });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Get(server.url()));
  EXPECT_EQ(server.connections(), 5);
}

TEST_F(CurlTransportTest, AnswersThatAreNoneAreUnavailable) {
  for (const char* answer : {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "",
                             "nonsense\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le"}) {
    HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
      connection.SendRaw(answer);
      connection.Close();
    });
    const auto response = Get(server.url());
    ASSERT_FALSE(response) << answer;
    EXPECT_EQ(response.error().code, ErrorCode::kUnavailable) << answer << ": " << response.error().message;
  }
}

TEST_F(CurlTransportTest, RefusedConnectionsAndUnknownNamesAreUnavailable) {
  const RefusedPort refused;
  for (const std::string& url :
       {refused.url() + "/key?X-Amz-Signature=secret", std::string("http://no.such.invalid/")}) {
    const auto response = Get(url);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::kUnavailable) << response.error().message;
    EXPECT_THAT(response.error().message, Not(HasSubstr("secret")));
  }
}

TEST_F(CurlTransportTest, RefusesWhatIsNoRequest) {
  for (const char* url :
       {"", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://a b/", "http://u:p@127.0.0.1/"}) {
    const auto response = Get(url);
    ASSERT_FALSE(response) << url;
    EXPECT_EQ(response.error().code, ErrorCode::kInvalidArgument) << url << ": " << response.error().message;
    EXPECT_THAT(response.error().message, Not(HasSubstr("u:p")));
  }
  const auto response = transport_.Send(
      {.method = "GET", .url = "http://127.0.0.1/", .headers = {{"A", "b\r\nC: d"}}, .body = "", .bypass_proxy = true},
      {}, {});
  EXPECT_EQ(response.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(CurlTransportTest, AnErrorOfASinkIsTheResultAndEndsTheConnection) {
  HttpServer server(
      [](const ServedRequest&, ServedConnection& connection) { connection.Reply(200, {}, std::string(50'000, 'x')); });
  const Error refusal{ErrorCode::kBadResponse, "not what was asked for"};
  const HttpSink at_headers{[&](const HttpResponse&) -> Result<void> { return refusal; },
                            [](std::span<const std::byte>) -> Result<void> {
                              ADD_FAILURE() << "a byte was delivered";
                              return {};
                            }};
  const HttpSink at_body{nullptr, [&](std::span<const std::byte>) -> Result<void> { return refusal; }};
  for (const HttpSink* sink : {&at_headers, &at_body}) {
    const auto response = Get(server.url(), *sink);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::kBadResponse);
    EXPECT_EQ(response.error().message, refusal.message);
  }
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(CurlTransportTest, EndsAtTheDeadline) {
  HttpServer server([](const ServedRequest&, ServedConnection& connection) { connection.StallUntilClosed(); });
  const CallContext context{.deadline = Deadline::After(clock_, std::chrono::milliseconds(50))};
  const auto response = Get(server.url(), {}, context);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kTimedOut) << response.error().message;
  EXPECT_TRUE(context.deadline.HasPassed(clock_));
}

TEST_F(CurlTransportTest, CancellationEndsAStalledExchangeInTheMiddle) {
  HttpServer server([](const ServedRequest&, ServedConnection& connection) {
    connection.SendRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
    connection.StallUntilClosed();
  });
  std::atomic<bool> cancelled{false};
  const HttpSink sink{nullptr, [&](std::span<const std::byte>) -> Result<void> {
                        cancelled = true;
                        return {};
                      }};
  const auto response = Get(server.url(), sink, {.cancelled = &cancelled});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kCancelled);
}

TEST(CurlTransport, ObeysTheProxyOfTheEnvironmentUnlessToldToBypassIt) {
  std::string target;
  HttpServer proxy([&](const ServedRequest& request, ServedConnection& connection) {
    target = request.target;
    connection.Reply(200);
  });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  const SystemClock clock;
  CurlTransport transport(CurlTransportOptions{}, clock);
  HttpRequest request{.method = "GET", .url = "http://store.invalid/a/../b", .headers = {}, .body = ""};
  EXPECT_TRUE(transport.Send(request, {}, {}));
  EXPECT_EQ(target, request.url);
  request.bypass_proxy = true;
  EXPECT_FALSE(transport.Send(request, {}, {}));
  EXPECT_EQ(proxy.requests(), 1);
  ::unsetenv("http_proxy");
}

TEST(CurlTransport, FindsASilentServerOutBeforeTheDeadline) {
  const FakeClock clock;  // Its deadline never comes: only the rate can end this.
  CurlTransport transport({.ca_bundle = "", .low_rate_window = std::chrono::seconds(1)}, clock);
  HttpServer server([](const ServedRequest&, ServedConnection& connection) { connection.StallUntilClosed(); });
  const auto response =
      transport.Send({.method = "GET", .url = server.url(), .headers = {}, .body = "", .bypass_proxy = true}, {},
                     {.deadline = Deadline::After(clock, std::chrono::seconds(60))});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable) << response.error().message;
}

TEST_F(CurlTransportTest, WhatFollowsABodyIsNoAnswerToTheNextRequest) {
  const std::string body(1024 * 1024, 'b');
  const std::string forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    if (request.target == "/next") return connection.Reply(200, {}, "true");
    connection.SendRaw("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body +
                       forged);
  });
  Received first;
  ASSERT_TRUE(Get(server.url() + "/first", first.Sink()));
  EXPECT_TRUE(first.body == body);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // All of it has come by then.
  Received next;
  ASSERT_TRUE(Get(server.url() + "/next", next.Sink()));
  EXPECT_EQ(next.body, "true");
}

TEST_F(CurlTransportTest, CallsRunSideBySide) {
  std::latch both(2);
  HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
    both.arrive_and_wait();  // Answers neither before the other one has come.
    connection.Reply(200);
  });
  std::jthread other([&] { EXPECT_TRUE(Get(server.url())); });
  EXPECT_TRUE(Get(server.url()));
}

TEST_F(CurlTransportTest, ManyThreadsShareOneTransport) {
  HttpServer server(
      [](const ServedRequest& request, ServedConnection& connection) { connection.Reply(200, {}, request.target); });
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
        Received received;
        EXPECT_TRUE(Get(server.url() + target, received.Sink()));
        EXPECT_EQ(received.body, target);
      }
    });
  }
  threads.clear();
  EXPECT_LE(server.connections(), 8);
}

TEST(CurlTransport, KeepsNoMoreConnectionsOpenThanItsLimitAndUsesThemAgain) {
  constexpr int kCalls = 64;
  constexpr int kLimit = 8;
  const SystemClock clock;
  CurlTransport transport({.ca_bundle = "", .max_idle_connections = kLimit}, clock);
  std::latch all(kCalls);
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    if (request.target == "/together") all.arrive_and_wait();  // Answers none before the last one has come.
    connection.Reply(200, {}, std::string(10'000, 'b'));
  });
  const auto get = [&](const std::string& target) {
    const HttpRequest request{
        .method = "GET", .url = server.url() + target, .headers = {}, .body = "", .bypass_proxy = true};
    EXPECT_TRUE(transport.Send(request, {}, {}));
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < kCalls; ++i) threads.emplace_back(get, "/together");
  threads.clear();
  EXPECT_EQ(server.connections(), kCalls) << "one for each call under way, and no more";
  for (int i = 0; i < 4000 && server.open_connections() != kLimit; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(server.open_connections(), kLimit);
  for (int t = 0; t < kLimit; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) get("/later");
    });
  }
  threads.clear();
  EXPECT_EQ(server.connections(), kCalls) << "the later calls found one open";
}

}  // namespace
}  // namespace s3overlay
