// SPDX-License-Identifier: Apache-2.0
//
// FailureLog: what programs could not have, for the log. The first failures of a minute are told one by one, the rest
// is counted: a pipeline that meets an outage fails thousands of times, and the reason is the same.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay {

enum class FailedCall { kOpen, kRead, kList, kAny, kCount };

// Thread-safe. Each kind has a minute of its own, so that failing reads hide no failing open.
class FailureLog {
 public:
  explicit FailureLog(const Clock& clock) : clock_(clock) {}

  // `subject` names what was asked for.
  void Note(FailedCall kind, std::string_view subject, const Error& error) S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Minute {
    TimePoint began_at = TimePoint::min();
    uint64_t told = 0;
    uint64_t held_back = 0;
  };

  const Clock& clock_;

  Mutex mu_;
  std::array<Minute, static_cast<size_t>(FailedCall::kCount)> minutes_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
