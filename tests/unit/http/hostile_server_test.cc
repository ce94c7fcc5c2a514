// SPDX-License-Identifier: Apache-2.0
//
// Servers and proxies that want to exhaust a client, or to have what is not theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "http/curl_transport.h"
#include "support/http_server.h"

namespace s3overlay {
namespace {

using ::testing::HasSubstr;
using testing::HttpServer;
using ::testing::Not;
using testing::RefusedPort;
using testing::ServedConnection;
using testing::ServedRequest;

constexpr std::string_view kPassword = "proxy-password-that-nobody-may-read";

class Hostile : public ::testing::Test {
 protected:
  Result<HttpResponse> Get(const std::string& url, const HttpSink& sink = {}, bool bypass_proxy = true) {
    return transport_.Send({.method = "GET",
                            .url = url,
                            .headers = {{"Authorization", "AWS4-HMAC-SHA256 for the store alone"}},
                            .body = "",
                            .bypass_proxy = bypass_proxy},
                           sink, {.deadline = Deadline::After(clock_, std::chrono::seconds(30))});
  }

  // What a server gets as answer for sending `start`, and then `again` for as long as anybody listens.
  ErrorCode AskForNoEnd(const std::string& start, const std::string& again) {
    HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
      connection.SendRaw(start);
      for (int i = 0; i < 20'000; ++i) connection.SendRaw(again);
      connection.Close();
    });
    const auto response = Get(server.url());
    return response ? ErrorCode::kSystem : response.error().code;
  }

  static HttpSink Into(std::string& body) {
    return {nullptr, [&body](std::span<const std::byte> bytes) -> Result<void> {
              body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
              return {};
            }};
  }

  const SystemClock clock_;
  CurlTransport transport_{CurlTransportOptions{}, clock_};
};

TEST_F(Hostile, HeadersWithoutEndAreUnavailable) {
  const std::string kilobyte(1000, 'x');
  EXPECT_EQ(AskForNoEnd("HTTP/1.1 200 OK\r\n", "A: " + kilobyte + "\r\n"), ErrorCode::kUnavailable);
  EXPECT_EQ(AskForNoEnd("HTTP/1.1 200 OK\r\nA: ", kilobyte), ErrorCode::kUnavailable);
  EXPECT_EQ(AskForNoEnd("", "HTTP/1.1 100 Continue\r\nA: " + kilobyte + "\r\n\r\n"), ErrorCode::kUnavailable);
  EXPECT_EQ(
      AskForNoEnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", "T: " + kilobyte + "\r\n"),
      ErrorCode::kUnavailable);
}

// Newer versions of curl refuse 5,000 by themselves.
TEST_F(Hostile, ManyHeadersAreTaken) {
  std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  for (int i = 0; i < 4'900; ++i) head += "H" + std::to_string(i) + ": v\r\n";
  HttpServer server([&](const ServedRequest&, ServedConnection& connection) { connection.SendRaw(head + "\r\n"); });
  const auto response = Get(server.url());
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(*response->FindHeader("h4899"), "v");
}

TEST_F(Hostile, LengthsThatCannotBeAreNoSuccess) {
  for (const char* length : {"99999999999999999999999999", "-1", "9223372036854775807", "1\r\nContent-Length: 5"}) {
    HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
      connection.SendRaw(std::string("HTTP/1.1 200 OK\r\nContent-Length: ") + length + "\r\n\r\nab");
      connection.Close();
    });
    std::string body;
    const auto response = Get(server.url(), Into(body));
    // Where curl takes it for an answer without a length, the header is handed on for the caller to judge.
    if (!response) continue;
    EXPECT_NE(*response->FindHeader("Content-Length"), std::to_string(body.size())) << length;
  }
}

TEST_F(Hostile, WhatIsEncodedIsHandedOnAsItIs) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    EXPECT_EQ(request.FindHeader("Accept-Encoding"), nullptr);
    connection.Reply(200, {{"Content-Encoding", "gzip"}}, "\x1f\x8b not really");
  });
  std::string body;
  ASSERT_TRUE(Get(server.url(), Into(body)));
  EXPECT_EQ(body, "\x1f\x8b not really");
}

// The environment of one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

TEST_F(Hostile, ThePasswordOfAProxyIsInNoMessage) {
  const RefusedPort refused;
  const std::string user = "user:" + std::string(kPassword) + "@";
  const std::string port = std::to_string(refused.port());
  for (const std::string& proxy :
       {"http://" + user + "[bad", "nonsense://" + user + "127.0.0.1:" + port, "http://" + user + "127.0.0.1:99999",
        "http://" + user + "127.0.0.1:" + port, "http://" + user + "no.such.invalid:1", user + "127.0.0.1:" + port,
        "http://" + user + "a b:1", "socks5://" + user + "127.0.0.1:" + port}) {
    const Variable variable("http_proxy", proxy);
    const auto response = Get("http://store.invalid/key", {}, false);
    ASSERT_FALSE(response) << proxy;
    EXPECT_THAT(response.error().message, Not(HasSubstr(std::string(kPassword)))) << proxy;
  }
}

TEST_F(Hostile, WhatIsForTheProxyAndWhatIsForTheStoreStayApart) {
  std::vector<ServedRequest> seen;
  HttpServer proxy([&](const ServedRequest& request, ServedConnection& connection) {
    seen.push_back(request);
    connection.Reply(407, {{"Proxy-Authenticate", "Basic"}});
  });
  const std::string url = "http://user:" + std::string(kPassword) + "@127.0.0.1:" + std::to_string(proxy.port());
  const Variable variable("https_proxy", url);
  const auto refused = Get("https://store.invalid/key", {}, false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, Not(HasSubstr(std::string(kPassword))));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen[0].method, "CONNECT");
  EXPECT_NE(seen[0].FindHeader("Proxy-Authorization"), nullptr);
  EXPECT_EQ(seen[0].FindHeader("Authorization"), nullptr) << "the store's signature is none of the proxy's business";

  HttpServer store([&](const ServedRequest& request, ServedConnection& connection) {
    EXPECT_EQ(request.FindHeader("Proxy-Authorization"), nullptr);
    connection.Reply(200);
  });
  const Variable other("http_proxy", url);
  EXPECT_TRUE(Get(store.url()));
  EXPECT_EQ(store.requests(), 1);
}

TEST_F(Hostile, ARedirectIsNotFollowedWithCredentials) {
  HttpServer elsewhere([](const ServedRequest&, ServedConnection& connection) { connection.Reply(200); });
  for (const int status : {301, 302, 303, 307, 308}) {
    HttpServer store([&](const ServedRequest&, ServedConnection& connection) {
      connection.Reply(status, {{"Location", elsewhere.url() + "/key"}});
    });
    const auto response = Get(store.url());
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, status);
  }
  EXPECT_EQ(elsewhere.connections(), 0);
}

}  // namespace
}  // namespace s3overlay
