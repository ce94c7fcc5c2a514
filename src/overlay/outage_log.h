// SPDX-License-Identifier: Apache-2.0
//
// OutageLog: one line when a layer stops answering and one when it answers again, not one a path. A layer that comes
// and goes is told of once a minute.
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Thread-safe; cheap while nothing changes.
class OutageLog {
 public:
  explicit OutageLog(const std::vector<std::string>& specs);

  void Failed(int layer, const Error& error);
  void Answered(int layer);

 private:
  struct LayerState {
    explicit LayerState(std::string name) : spec(std::move(name)) {}

    const std::string spec;
    std::atomic<bool> out{false};
    std::atomic<Duration::rep> failed_at{0};  // In the clock's time.
    std::atomic<bool> told{false};            // The outage is in the log, so its end has to be too.

    Mutex mu;
    TimePoint quiet_until S3OVERLAY_GUARDED_BY(mu){};
  };

  const SystemClock clock_;
  std::deque<LayerState> layers_;  // As many as there are layers; never changes after construction.
};

}  // namespace s3overlay
