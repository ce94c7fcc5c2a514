// SPDX-License-Identifier: Apache-2.0
//
// FaultLog: disk errors of the cache, every one counted, at most one a minute logged: a broken disk must not fill
// another one with its log. Thread-safe.
#pragma once

#include <atomic>

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
    const auto now = clock_.Now().time_since_epoch().count();
    auto next = next_.load(std::memory_order_relaxed);
    if (now < next || !next_.compare_exchange_strong(next, now + Duration(std::chrono::minutes(1)).count())) return;
    log::Warning("cache: {}; reads go on without it", error.message);
  }

 private:
  const Clock& clock_;
  Metrics& metrics_;
  std::atomic<Duration::rep> next_{0};
};

}  // namespace s3overlay
