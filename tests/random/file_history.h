// SPDX-License-Identifier: Apache-2.0
//
// FileHistory: which version one file (an object, or a local file) had when.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "s3overlay/mutex.h"

namespace s3overlay::testing {

using RunTime = std::chrono::steady_clock::time_point;

inline constexpr uint16_t kAbsent = 0;  // As a version's number.

// From when to when something was under way.
struct TimeSpan {
  RunTime begin;
  RunTime end;
};

// Thread-safe. One thread changes it. While a change is under way both what was before and what comes are possible.
class FileHistory {
 public:
  FileHistory();

  void BeginChange(uint16_t number) S3OVERLAY_EXCLUDES(mu_);
  void EndChange() S3OVERLAY_EXCLUDES(mu_);

  uint16_t latest() const S3OVERLAY_EXCLUDES(mu_);

  // Versions (or kAbsent) that it may have had at some moment of that time.
  std::vector<uint16_t> PossibleIn(const TimeSpan& span) const S3OVERLAY_EXCLUDES(mu_);
  bool WasPossible(uint16_t number, const TimeSpan& span) const;

  // Whether a change was under way at some moment of that time.
  bool MayHaveChangedIn(const TimeSpan& span) const S3OVERLAY_EXCLUDES(mu_);

 private:
  struct State {
    uint16_t number;
    RunTime change_begin;
    std::optional<RunTime> change_end;  // Nothing: still under way.
  };

  mutable Mutex mu_;
  std::vector<State> states_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
