// SPDX-License-Identifier: Apache-2.0
#include "s3/circuit_breaker.h"

#include <algorithm>

namespace s3overlay {

std::string_view BreakerStateName(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed: return "closed";
    case BreakerState::kOpen: return "open";
    case BreakerState::kHalfOpen: return "half-open";
  }
  return "closed";
}

void CircuitBreaker::RecordFailure(TimePoint now) {
  // Calls that were under way when it opened have nothing to add.
  if (!is_closed()) return;
  if (failures_++ == 0) first_failure_ = now;
  if (failures_ < options_.min_failures || now - first_failure_ < options_.min_span) return;
  Open(now);
}

void CircuitBreaker::RecordSilence(TimePoint now) {
  if (is_closed()) Open(now);
}

void CircuitBreaker::Open(TimePoint now) {
  state_ = BreakerState::kOpen;
  pause_ = options_.first_probe;
  next_probe_ = now + pause_;
}

void CircuitBreaker::RecordSuccess() {
  state_ = BreakerState::kClosed;
  failures_ = 0;
}

void CircuitBreaker::FailProbe(TimePoint now) {
  // A call that was under way may have closed it meanwhile.
  if (is_closed()) return;
  state_ = BreakerState::kOpen;
  pause_ = std::min(pause_ * 2, options_.longest_probe);
  next_probe_ = now + pause_;
}

}  // namespace s3overlay
