// SPDX-License-Identifier: Apache-2.0
//
// FaultLog: disk errors and damaged blocks of the cache, every one counted, of each kind at most one a minute logged: a
// broken disk must not fill another one with its log. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "s3overlay/clock.h"
#include "s3overlay/log.h"
#include "s3overlay/metrics.h"
#include "s3overlay/result.h"

namespace s3overlay {

class FaultLog {
 public:
  FaultLog(const Clock& clock, Metrics& metrics) : clock_(clock), metrics_(metrics) {}

  void Note(const Error& error) {
    metrics_.Add(Metric::kCacheIoErrors);
    if (IsDue(next_fault_)) log::Warning("cache: {}; reads go on without it", error.message);
  }

  // A block that does not match its checksum.
  void NoteDamage(uint64_t index, const std::string& object) {
    metrics_.Add(Metric::kCacheChecksumErrors);
    if (IsDue(next_damage_)) {
      log::Warning("cache: block {} of {} does not match its checksum; dropped", index, object);
    } else {
      log::Debug("cache: block {} of {} does not match its checksum either; dropped", index, object);
    }
  }

 private:
  using NextTime = std::atomic<Duration::rep>;

  bool IsDue(NextTime& next_time) {
    const auto now = clock_.Now().time_since_epoch().count();
    auto next = next_time.load(std::memory_order_relaxed);
    return now >= next && next_time.compare_exchange_strong(next, now + Duration(std::chrono::minutes(1)).count());
  }

  const Clock& clock_;
  Metrics& metrics_;
  NextTime next_fault_{0};
  NextTime next_damage_{0};
};

}  // namespace s3overlay
