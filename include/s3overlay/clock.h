// SPDX-License-Identifier: Apache-2.0
//
// Clock: the only way to ask what time it is, so that tests can steer it. Deadline: the instant by which a call ends.
#pragma once

#include <algorithm>
#include <chrono>

namespace s3overlay {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;  // For intervals: never jumps.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;   // For dates.

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  TimePoint Now() const override;
  WallTime WallNow() const override;
};

// A value; copies freely and travels down a call as an argument.
class Deadline {
 public:
  static Deadline Never() { return Deadline(TimePoint::max()); }
  static Deadline At(TimePoint at) { return Deadline(at); }
  static Deadline After(const Clock& clock, Duration duration) { return Deadline(clock.Now() + duration); }

  TimePoint at() const { return at_; }
  bool is_never() const { return at_ == TimePoint::max(); }
  bool HasPassed(const Clock& clock) const { return clock.Now() >= at_; }

  // Zero once it has passed. Duration::max() for Never().
  Duration Remaining(const Clock& clock) const {
    if (is_never()) return Duration::max();
    return std::max(Duration::zero(), at_ - clock.Now());
  }

  // The earlier of the two.
  Deadline Min(const Deadline& other) const { return Deadline(std::min(at_, other.at_)); }

 private:
  explicit Deadline(TimePoint at) : at_(at) {}
  TimePoint at_;
};

}  // namespace s3overlay
