// SPDX-License-Identifier: Apache-2.0
#include "s3/retry_policy.h"

#include <algorithm>

namespace s3overlay::s3 {
namespace {

// base * 2^step, at most the cap.
Duration Ceiling(const RetryPolicy& policy, int step) {
  Duration ceiling = policy.base;
  for (int i = 0; i < step && ceiling < policy.cap; ++i) ceiling *= 2;
  return std::min(ceiling, policy.cap);
}

Duration Jitter(Duration ceiling, double random) {
  return Duration(static_cast<Duration::rep>(static_cast<double>(ceiling.count()) * random));
}

}  // namespace

std::optional<Duration> NextDelay(const RetryPolicy& policy, const Failure& failure, const RetryCount& count,
                                  Duration remaining, double random) {
  const Duration wish = failure.retry_after.value_or(Duration::zero());
  if (failure.remedy == Remedy::kSlowDown) {
    // Never at once: no dice take the pressure off the store otherwise.
    const Duration delay = policy.base + Jitter(Ceiling(policy, count.slow_downs), random);
    return std::min(std::max(delay, wish), remaining);
  }
  if (failure.remedy != Remedy::kRetry || count.retries >= policy.max_retries) return std::nullopt;
  const Duration delay = std::max(Jitter(Ceiling(policy, count.retries), random), wish);
  if (delay >= remaining) return std::nullopt;
  return delay;
}

}  // namespace s3overlay::s3
