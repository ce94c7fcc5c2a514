// SPDX-License-Identifier: Apache-2.0
//
// HttpTransport: one HTTP exchange. http/curl_transport is the real one, tests script theirs. It knows nothing of S3.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "s3overlay/call_context.h"
#include "s3overlay/result.h"

namespace s3overlay {

struct HttpHeader {
  std::string name;  // As sent; compared without case.
  std::string value;
};

struct HttpRequest {
  std::string method = "GET";  // GET, HEAD or PUT.
  std::string url;             // Complete and already encoded; sent as it is.
  std::vector<HttpHeader> headers;
  std::string body;           // PUT only.
  bool bypass_proxy = false;  // Metadata addresses are never asked through a proxy.
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers;  // Of the final answer, in order.

  // First value of a header, or null.
  const std::string* FindHeader(std::string_view name) const;
};

// Both run on the calling thread, and an error from either ends the exchange and becomes its result.
struct HttpSink {
  std::function<Result<void>(const HttpResponse&)> on_headers;      // Once, before any body byte. May be empty.
  std::function<Result<void>(std::span<const std::byte>)> on_body;  // Any number of times.
};

// Thread-safe; Send blocks. Any status is a success: the exchange took place and the body was delivered whole.
// Failures: kUnavailable (connection, name, TLS, cut short, below the lowest acceptable rate), kTimedOut (deadline),
// kMisconfigured (certificate not trusted), kCancelled, kInvalidArgument (malformed URL), and what the sink returned.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual Result<HttpResponse> Send(const HttpRequest& request, const HttpSink& sink, const CallContext& context) = 0;
};

}  // namespace s3overlay
