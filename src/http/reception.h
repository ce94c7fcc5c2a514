// SPDX-License-Identifier: Apache-2.0
//
// Reception: turns the header lines and body pieces of one exchange into an HttpResponse and calls of an HttpSink. It
// knows nothing of curl, but it is made to stand between C frames: it never throws while the exchange runs.
//
// Sources: RFC 9110, 15.2 (interim answers), RFC 9112, 5.2 (folded lines) and 7.1.2 (trailers).
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "s3overlay/http_transport.h"

namespace s3overlay {

// For one exchange, on one thread. The sink outlives it.
class Reception {
 public:
  explicit Reception(const HttpSink& sink) : sink_(sink) {}

  // One header line with its line break, the empty line at the end included. False: break the exchange off.
  bool TakeHeaderLine(std::string_view line);
  bool TakeBody(std::span<const std::byte> bytes);

  // Whether the headers of the final answer have come.
  bool is_announced() const { return announced_; }
  HttpResponse TakeResponse() { return std::move(response_); }

  // The error that broke the exchange off from this side, if one did. Throws what a sink threw.
  std::optional<Error> BreakOffError() const;

 private:
  template <typename Action>
  bool Guard(Action action);
  Result<void> HandleHeaderLine(std::string_view line);
  void StartHeaders(std::string_view line);
  void AddHeader(std::string_view line);
  Result<void> EndHeaders();

  const HttpSink& sink_;
  HttpResponse response_;
  size_t header_bytes_ = 0;
  bool announced_ = false;
  std::optional<Error> error_;
  std::exception_ptr thrown_;
};

}  // namespace s3overlay
