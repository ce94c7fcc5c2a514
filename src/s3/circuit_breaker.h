// SPDX-License-Identifier: Apache-2.0
//
// CircuitBreaker: when a store counts as away, and when to look whether it is back. Pure: times come as arguments.
//
// Closed, calls go through. Enough failures over long enough, with no success between, open it, and so does a silence
// that lasts (s3/silence_watch): calls fail at once, and a probe is due after a pause that doubles. Half-open, a probe
// is under way. One success closes it from any state.
#pragma once

#include <chrono>
#include <string_view>

#include "s3overlay/clock.h"

namespace s3overlay {

struct CircuitBreakerOptions {
  int min_failures = 5;                               // One lost connection of many is no outage.
  Duration min_span = std::chrono::seconds(2);        // Nor are a hundred parallel reads that fail in one instant.
  Duration first_probe = std::chrono::seconds(1);     // After opening.
  Duration longest_probe = std::chrono::seconds(30);  // The pause between probes doubles up to this.
};

enum class BreakerState { kClosed, kOpen, kHalfOpen };

std::string_view BreakerStateName(BreakerState state);  // "closed", "open", "half-open"

// Not thread-safe.
class CircuitBreaker {
 public:
  explicit CircuitBreaker(CircuitBreakerOptions options) : options_(options) {}

  BreakerState state() const { return state_; }
  bool is_closed() const { return state_ == BreakerState::kClosed; }

  // The store did not answer a call.
  void RecordFailure(TimePoint now);

  // It said nothing to anybody for too long: no need to count.
  void RecordSilence(TimePoint now);

  // The store answered, whatever it said.
  void RecordSuccess();

  // Open: when the next probe is due.
  TimePoint next_probe() const { return next_probe_; }
  void StartProbe() { state_ = BreakerState::kHalfOpen; }
  // The probe did not get an answer (RecordSuccess is what ends one that did).
  void FailProbe(TimePoint now);

 private:
  void Open(TimePoint now);

  const CircuitBreakerOptions options_;
  BreakerState state_ = BreakerState::kClosed;
  int failures_ = 0;  // Since the last success.
  TimePoint first_failure_{};
  TimePoint next_probe_{};
  Duration pause_{};
};

}  // namespace s3overlay
