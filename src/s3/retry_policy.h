// SPDX-License-Identifier: Apache-2.0
//
// Whether and when a failed request is sent again. Pure: no clock, no dice, no sleep.
//
// Source: AWS Architecture Blog, "Exponential Backoff and Jitter" (full jitter).
#pragma once

#include <chrono>
#include <optional>

#include "s3/failure.h"
#include "s3overlay/clock.h"

namespace s3overlay::s3 {

struct RetryPolicy {
  int max_retries = 5;
  Duration base = std::chrono::milliseconds(100);
  Duration cap = std::chrono::seconds(5);
};

// The attempts so far, of each kind.
struct RetryCount {
  int retries = 0;     // After kRetry: these use the budget up.
  int slow_downs = 0;  // After kSlowDown: bounded by the deadline alone.
};

// How long to wait before the next attempt; nothing: give up. `random` is in [0, 1), `remaining` what is left until the
// deadline. A store that asked to slow down is given the time that remains even where no attempt fits after it. The
// other remedies are not for waiting, and yield nothing.
std::optional<Duration> NextDelay(const RetryPolicy& policy, const Failure& failure, const RetryCount& count,
                                  Duration remaining, double random);

}  // namespace s3overlay::s3
