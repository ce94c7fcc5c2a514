// SPDX-License-Identifier: Apache-2.0
//
// TestBucket: a bucket of the test's own on a real S3 server, gone with it.
//
// The server is named by S3OVERLAY_TEST_ENDPOINT, S3OVERLAY_TEST_ACCESS_KEY and S3OVERLAY_TEST_SECRET_KEY
// (scripts/s3-server.sh env). A test begins with
//     const std::optional<TestServer> server = TestServer::FromEnvironment();
//     if (!server) GTEST_SKIP() << TestServer::kHowTo;
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/curl_transport.h"
#include "s3/s3_store.h"
#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/metrics.h"

namespace s3overlay::testing {

struct TestServer {
  static constexpr std::string_view kHowTo = "no S3 server: see scripts/s3-server.sh env";

  std::string endpoint;
  std::string access_key;
  std::string secret_key;

  uint16_t port() const;  // Of the endpoint, which names one.

  static std::optional<TestServer> FromEnvironment();
};

// Thread-safe. Always the same credentials.
class FixedCredentials final : public CredentialProvider {
 public:
  FixedCredentials(std::string access_key, std::string secret_key);
  Result<std::optional<Credentials>> Get(const CallContext& context) override;
  void Refused(const Credentials&) override {}

 private:
  const Credentials credentials_;
};

// Failures throw std::runtime_error with the server's answer. Put and Delete may run on several threads at once.
class TestBucket {
 public:
  explicit TestBucket(TestServer server);
  ~TestBucket();  // Removes every object, then the bucket.
  TestBucket(const TestBucket&) = delete;
  TestBucket& operator=(const TestBucket&) = delete;

  const std::string& name() const { return name_; }
  const TestServer& server() const { return server_; }
  S3StoreOptions store_options() const;

  void Put(std::string_view key, std::string_view bytes);
  void Delete(std::string_view key);

  // What the store under test needs, ready made.
  S3Store& store() { return store_; }
  HttpTransport& transport() { return transport_; }
  const Clock& clock() const { return clock_; }
  Metrics& metrics() { return metrics_; }

  // 60 s and no retries: a loaded machine, not a broken server.
  CallContext context() const;

 private:
  HttpRequest Sign(std::string_view method, std::string_view key, std::string_view body) const;
  void SendPut(std::string_view key, std::string_view body);
  void SendDelete(std::string_view key);

  const TestServer server_;
  const std::string name_;
  SystemClock clock_;
  Metrics metrics_;
  FixedCredentials credentials_;
  CurlTransport transport_;
  S3Store store_;
};

}  // namespace s3overlay::testing
