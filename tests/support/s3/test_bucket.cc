// SPDX-License-Identifier: Apache-2.0
#include "support/s3/test_bucket.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <random>
#include <stdexcept>
#include <utility>

#include "s3/addressing.h"
#include "s3/request_signer.h"
#include "support/s3/plain_http.h"

namespace s3overlay::testing {
namespace {

std::string FromEnvironmentOr(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string UniqueName() {
  static std::atomic<int> counter{0};
  return fmt::format("t-{}-{}-{:08x}", ::getpid(), ++counter, std::random_device{}());
}

}  // namespace

uint16_t TestServer::port() const {
  return static_cast<uint16_t>(std::atoi(endpoint.c_str() + endpoint.rfind(':') + 1));
}

std::optional<TestServer> TestServer::FromEnvironment() {
  TestServer server{FromEnvironmentOr("S3OVERLAY_TEST_ENDPOINT"), FromEnvironmentOr("S3OVERLAY_TEST_ACCESS_KEY"),
                    FromEnvironmentOr("S3OVERLAY_TEST_SECRET_KEY")};
  if (server.endpoint.empty() || server.access_key.empty() || server.secret_key.empty()) return std::nullopt;
  return server;
}

FixedCredentials::FixedCredentials(std::string access_key, std::string secret_key)
    : credentials_{std::move(access_key), std::move(secret_key), {}, {}, "the test"} {}

Result<std::optional<Credentials>> FixedCredentials::Get(const CallContext&) { return std::optional(credentials_); }

TestBucket::TestBucket(TestServer server)
    : server_(std::move(server)),
      name_(UniqueName()),
      credentials_(server_.access_key, server_.secret_key),
      transport_(CurlTransportOptions{}, clock_),
      store_(store_options(), transport_, credentials_, clock_, metrics_) {
  SendPut("", "");
}

TestBucket::~TestBucket() {
  try {
    ListRequest request;
    request.bucket = name_;
    bool more = true;
    while (more) {
      const Result<ListPage> page = store_.List(request, context());
      if (!page) throw std::runtime_error(page.error().message);
      for (const ObjectMetadata& object : page->objects) SendDelete(object.id.key);
      more = page->truncated;
      request.continuation_token = page->next_token;
    }
    SendDelete("");
  } catch (const std::exception& error) {
    fmt::print(stderr, "bucket {} stays behind: {}\n", name_, error.what());
  }
}

S3StoreOptions TestBucket::store_options() const {
  S3StoreOptions options;
  options.endpoint = server_.endpoint;
  return options;
}

CallContext TestBucket::context() const {
  CallContext context;
  context.deadline = Deadline::After(clock_, std::chrono::seconds(60));
  context.max_retries = 0;
  return context;
}

void TestBucket::Put(std::string_view key, std::string_view bytes) { SendPut(key, bytes); }
void TestBucket::Delete(std::string_view key) { SendDelete(key); }

HttpRequest TestBucket::Sign(std::string_view method, std::string_view key, std::string_view body) const {
  Result<HttpRequest> request =
      s3::SignRequest({.method = std::string(method),
                       .url = s3::ObjectUrl(server_.endpoint, Addressing::kPath, name_, key).value(),
                       .headers = {},
                       .body = std::string(body)},
                      Credentials{server_.access_key, server_.secret_key, {}, {}, {}},
                      {.region = "us-east-1", .now = clock_.WallNow()});
  if (!request) throw std::runtime_error(request.error().message);
  return *std::move(request);
}

void TestBucket::SendPut(std::string_view key, std::string_view body) {
  std::string answer;
  const auto on_body = [&answer](std::span<const std::byte> bytes) -> Result<void> {
    answer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  const Result<HttpResponse> response =
      transport_.Send(Sign("PUT", key, body), {.on_headers = {}, .on_body = on_body}, context());
  if (!response) throw std::runtime_error(response.error().message);
  if (response->status != 200) throw std::runtime_error(fmt::format("PUT {}: {} {}", key, response->status, answer));
}

void TestBucket::SendDelete(std::string_view key) {
  const int status = SendPlainHttp(Sign("DELETE", key, ""));
  if (status != 204) throw std::runtime_error(fmt::format("DELETE {}: {}", key, status));
}

}  // namespace s3overlay::testing
