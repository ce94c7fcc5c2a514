// SPDX-License-Identifier: Apache-2.0
//
// Failure: why one attempt at a request failed, and what another attempt would need.
#pragma once

#include <optional>

#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

enum class Remedy {
  kNone,            // The answer stands.
  kRetry,           // Wait a little and ask again, within the budget of retries.
  kSlowDown,        // Wait and ask again until the deadline: the store is there, and busy.
  kNewCredentials,  // Ask again if there are other credentials.
  kSetClock,        // Ask again with the store's time.
};

struct Failure {
  Error error;
  Remedy remedy = Remedy::kNone;
  int status = 0;                            // Of the answer; 0 where there was none.
  std::optional<Duration> retry_after{};     // The store's own wish; never asked again sooner.
  std::optional<WallTime> store_time{};      // Date of the answer.
  std::optional<Credentials> signed_with{};  // Nothing: the request was anonymous.
};

// A failure of the exchange itself: what it needs follows from its code.
Failure FailureOfExchange(Error error);

}  // namespace s3overlay::s3
