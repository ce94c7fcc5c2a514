// SPDX-License-Identifier: Apache-2.0
//
// A clock that stands still until a test moves it. Thread-safe.
#pragma once

#include <atomic>

#include "s3overlay/clock.h"

namespace s3overlay::testing {

class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  WallTime WallNow() const override { return WallTime(Duration(wall_.load())); }

  void Advance(Duration by) {
    now_ += by.count();
    wall_ += by.count();
  }
  void SetWall(WallTime to) { wall_ = to.time_since_epoch().count(); }

 private:
  // Away from zero, so that "an hour ago" is a time too.
  std::atomic<int64_t> now_{Duration(std::chrono::hours(1000)).count()};
  std::atomic<int64_t> wall_{Duration(std::chrono::seconds(1'700'000'000)).count()};
};

}  // namespace s3overlay::testing
