// SPDX-License-Identifier: Apache-2.0
//
// CurlTransport: HTTP/1.1 over libcurl. A call runs on its caller's thread; calls run side by side, and connections
// stay open between them. Redirects are answers, never followed: a signature must not travel to another host.
//
// Proxies of the environment (http_proxy, https_proxy, no_proxy) are obeyed. Sources: libcurl's manual pages of the
// CURLOPT_ and CURLMOPT_ options that are set; RFC 9110 and 9112 for interim answers and cut bodies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

struct CurlTransportOptions {
  std::string ca_bundle;  // PEM file of the trusted authorities; empty: the system's. There is no way to trust anyone.
  Duration connect_timeout = std::chrono::seconds(3);
  size_t max_idle_connections = 64;  // Kept open for the next calls; more may be in use at a time.

  // An exchange slower than this over the whole window counts as broken: a silent store is found out long before the
  // deadline, and the retry takes a new connection. A window of zero turns it off; it is rounded up to seconds.
  uint64_t min_bytes_per_second = 1024;
  Duration low_rate_window = std::chrono::seconds(10);

  std::string user_agent = "s3overlay";
};

// Errors as in HttpTransport. Messages name the method and the URL without its query, and never a header.
class CurlTransport final : public HttpTransport {
 public:
  // `clock` outlives the transport.
  CurlTransport(CurlTransportOptions options, const Clock& clock);
  ~CurlTransport() override;  // No call may be running.
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  // Notices the deadline and a cancellation within 100 ms, whatever the network does.
  Result<HttpResponse> Send(const HttpRequest& request, const HttpSink& sink, const CallContext& context) override
      S3OVERLAY_EXCLUDES(mu_);

 private:
  class Share;   // TLS sessions, which all handles know.
  class Handle;  // One transfer at a time, and the connection it left open.

  std::unique_ptr<Handle> TakeHandle() S3OVERLAY_EXCLUDES(mu_);
  std::unique_ptr<Handle> TakeIdle() S3OVERLAY_EXCLUDES(mu_);  // Null: there is none.
  void GiveBack(std::unique_ptr<Handle> handle) S3OVERLAY_EXCLUDES(mu_);

  const CurlTransportOptions options_;
  const Clock& clock_;
  const std::unique_ptr<Share> share_;

  Mutex mu_;
  // The last one used is the next one taken: its connection is the least likely to have been closed by the server.
  std::vector<std::unique_ptr<Handle>> idle_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
