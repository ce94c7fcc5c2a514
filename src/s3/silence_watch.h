// SPDX-License-Identifier: Apache-2.0
//
// SilenceWatch: for how long a store has said nothing at all to those who wait for it. Pure: times come as arguments.
//
// A store that refuses fails its callers soon, and their failures are counted. One that is silent fails nobody before a
// deadline has passed, so here the waiting itself is what counts.
#pragma once

#include <algorithm>
#include <chrono>

#include "s3overlay/clock.h"

namespace s3overlay {

struct SilenceOptions {
  Duration patience = std::chrono::seconds(1);  // Silence that calls for a probe, and the pause between probes.
  Duration limit = std::chrono::seconds(3);     // Silence after which a probe that fails as well opens the breaker.
};

// Not thread-safe.
class SilenceWatch {
 public:
  void BeginCall(TimePoint now) {
    // Callers that come one after the other are one wait.
    if (calls_++ == 0 && now - ended_at_ > kGap) since_ = now;
  }
  void EndCall(TimePoint now) {
    --calls_;
    ended_at_ = now;
  }

  // The store said something: an answer, or bytes of one.
  void Hear(TimePoint now) { since_ = std::max(since_, now); }

  bool is_awaited(TimePoint now) const { return calls_ > 0 || now - ended_at_ <= kGap; }

  // Zero while nobody waits.
  Duration Silence(TimePoint now) const { return is_awaited(now) ? now - since_ : Duration::zero(); }

 private:
  static constexpr Duration kGap = std::chrono::milliseconds(500);

  int calls_ = 0;         // That have no answer yet.
  TimePoint since_{};     // Of the last word, or of the first call that had to wait for one.
  TimePoint ended_at_{};  // Of the latest call.
};

}  // namespace s3overlay
