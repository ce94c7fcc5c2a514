// SPDX-License-Identifier: Apache-2.0
//
// RetryLoop: the one place where a request is sent again: after a pause, with other credentials, or with a better
// clock.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "s3/pacer.h"
#include "s3/retry_policy.h"
#include "s3/signed_sender.h"
#include "s3overlay/call_context.h"
#include "s3overlay/metrics.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

// Thread-safe; the objects given to it outlive it.
class RetryLoop {
 public:
  // Nothing: it worked. `attempt` counts from 1.
  using Attempt = std::function<std::optional<Failure>(int attempt)>;

  RetryLoop(RetryPolicy policy, SignedSender& sender, Pacer& pacer, const Clock& clock, Metrics& metrics);

  // Runs `attempt` until it works, fails for good, or deadline, budget or cancellation end it. `subject` names the
  // request in messages.
  Result<void> Run(std::string_view subject, const CallContext& context, const Attempt& attempt) const;

 private:
  struct Progress;
  std::optional<Error> OutOfTime(std::string_view subject, const CallContext& context, const Progress& progress) const;
  bool Prepare(const CallContext& context, Progress& progress) const;
  bool Pause(const CallContext& context, Progress& progress) const;
  Error GiveUp(const Progress& progress) const;

  const RetryPolicy policy_;
  SignedSender& sender_;
  Pacer& pacer_;
  const Clock& clock_;
  Metrics& metrics_;
};

}  // namespace s3overlay::s3
