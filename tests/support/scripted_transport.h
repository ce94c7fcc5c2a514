// SPDX-License-Identifier: Apache-2.0
//
// A transport that answers from a script (in order) or from a handler, and remembers what it was asked. Thread-safe.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "s3overlay/http_transport.h"
#include "s3overlay/mutex.h"

namespace s3overlay::testing {

struct ScriptedAnswer {
  int status = 200;  // 0: the error comes before any header.
  std::vector<HttpHeader> headers{};
  std::vector<std::string> pieces{};      // The body, as it arrives.
  std::optional<Error> error_at_end{};    // After the pieces: a transfer that was cut.
  std::function<void()> before_answer{};  // A test's chance to move its clock.
};

inline ScriptedAnswer TransportError(ErrorCode code) {
  return {.status = 0, .error_at_end = Error{code, "scripted failure"}};
}

class ScriptedTransport final : public HttpTransport {
 public:
  using Handler = std::function<ScriptedAnswer(const HttpRequest&)>;

  // The handler answers whatever the script does not.
  explicit ScriptedTransport(Handler handler = nullptr) : handler_(std::move(handler)) {}

  ScriptedTransport& Then(ScriptedAnswer answer) S3OVERLAY_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    script_.push_back(std::move(answer));
    return *this;
  }

  std::vector<HttpRequest> requests() const S3OVERLAY_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return requests_;
  }

  Result<HttpResponse> Send(const HttpRequest& request, const HttpSink& sink, const CallContext& context) override {
    if (context.IsCancelled()) return Error{ErrorCode::kCancelled, "cancelled"};
    const ScriptedAnswer answer = Next(request);
    if (answer.before_answer) answer.before_answer();
    if (answer.status == 0) return *answer.error_at_end;
    HttpResponse response{answer.status, answer.headers};
    if (sink.on_headers) S3OVERLAY_RETURN_IF_ERROR(sink.on_headers(response));
    for (const std::string& piece : answer.pieces) {
      if (sink.on_body) S3OVERLAY_RETURN_IF_ERROR(sink.on_body(std::as_bytes(std::span(piece))));
    }
    if (answer.error_at_end) return *answer.error_at_end;
    return response;
  }

 private:
  ScriptedAnswer Next(const HttpRequest& request) S3OVERLAY_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      requests_.push_back(request);
      if (!script_.empty()) {
        ScriptedAnswer answer = std::move(script_.front());
        script_.pop_front();
        return answer;
      }
    }
    if (handler_) return handler_(request);
    ADD_FAILURE() << "not in the script: " << request.method << " " << request.url;
    return TransportError(ErrorCode::kInvalidArgument);
  }

  const Handler handler_;
  mutable Mutex mu_;
  std::deque<ScriptedAnswer> script_ S3OVERLAY_GUARDED_BY(mu_);
  std::vector<HttpRequest> requests_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
