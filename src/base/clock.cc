// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/clock.h"

namespace s3overlay {

TimePoint SystemClock::Now() const { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

WallTime SystemClock::WallNow() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

}  // namespace s3overlay
