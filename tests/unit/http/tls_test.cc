// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

#include "http/curl_transport.h"
#include "s3overlay/unique_fd.h"
#include "support/loopback.h"
#include "support/temp_dir.h"
#include "support/tls/certificate.h"

namespace s3overlay {
namespace {

using testing::CertificateAuthority;
using testing::Freer;
using testing::TlsContextPtr;

// Answers each connection with an empty 200.
class TlsServer {
 public:
  TlsServer() {
    sockaddr_in address = testing::Loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TlsServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  std::string url(const std::string& host) const { return "https://" + host + ":" + std::to_string(port_) + "/"; }

  int resumed() const { return resumed_; }  // Connections that took up an earlier session.

  std::string WriteCertificate(const testing::TempDir& dir) const {
    const std::string path = dir / "ca.pem";
    authority_.Write(path);
    return path;
  }

 private:
  void Serve() {
    while (true) {
      const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd.is_open()) return;
      const std::unique_ptr<SSL, Freer<SSL_free>> tls(SSL_new(context_.get()));
      SSL_set_fd(tls.get(), fd.get());
      std::array<char, 4096> request{};
      if (SSL_accept(tls.get()) != 1 || SSL_read(tls.get(), request.data(), request.size()) <= 0) continue;
      if (SSL_session_reused(tls.get()) == 1) ++resumed_;
      const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      SSL_write(tls.get(), answer.data(), static_cast<int>(answer.size()));
      SSL_shutdown(tls.get());
    }
  }

  const CertificateAuthority authority_;
  const TlsContextPtr context_ = authority_.MakeServer();
  const UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  uint16_t port_ = 0;
  std::atomic<int> resumed_{0};
  std::thread thread_;
};

Result<HttpResponse> Ask(const TlsServer& server, CurlTransportOptions options, const std::string& host = "127.0.0.1") {
  const SystemClock clock;
  options.connect_timeout = std::chrono::seconds(60);  // A handshake takes its time where the machine is busy.
  return CurlTransport(std::move(options), clock)
      .Send({.method = "GET", .url = server.url(host), .headers = {}, .body = "", .bypass_proxy = true}, {}, {});
}

TEST(CurlTransportTls, TrustsOnlyWhatItWasToldToTrust) {
  const TlsServer server;
  const testing::TempDir dir;
  const auto untrusted = Ask(server, {});
  ASSERT_FALSE(untrusted);
  EXPECT_EQ(untrusted.error().code, ErrorCode::kMisconfigured) << untrusted.error().message;
  EXPECT_THAT(untrusted.error().message, ::testing::HasSubstr("--ca-bundle"));

  const auto trusted = Ask(server, {.ca_bundle = server.WriteCertificate(dir)});
  ASSERT_TRUE(trusted) << trusted.error().message;
  EXPECT_EQ(trusted->status, 200);

  // Trusted, and for another name.
  const auto other_name = Ask(server, {.ca_bundle = server.WriteCertificate(dir)}, "localhost");
  ASSERT_FALSE(other_name);
  EXPECT_EQ(other_name.error().code, ErrorCode::kMisconfigured) << other_name.error().message;

  const auto no_bundle = Ask(server, {.ca_bundle = dir / "missing.pem"});
  ASSERT_FALSE(no_bundle);
  EXPECT_EQ(no_bundle.error().code, ErrorCode::kMisconfigured) << no_bundle.error().message;
}

// By whichever connection comes next: a full handshake costs a round trip more, and the store a signature.
TEST(CurlTransportTls, ASessionIsResumed) {
  const TlsServer server;
  const testing::TempDir dir;
  const SystemClock clock;
  CurlTransportOptions options{.ca_bundle = server.WriteCertificate(dir), .connect_timeout = std::chrono::seconds(60)};
  options.max_idle_connections = 0;  // Each exchange has a handle of its own.
  CurlTransport transport(options, clock);
  for (int i = 0; i < 3; ++i) {
    const auto response = transport.Send(
        {.method = "GET", .url = server.url("127.0.0.1"), .headers = {}, .body = "", .bypass_proxy = true}, {}, {});
    ASSERT_TRUE(response) << response.error().message;
  }
  EXPECT_EQ(server.resumed(), 2);
}

}  // namespace
}  // namespace s3overlay
