// SPDX-License-Identifier: Apache-2.0
//
// Pacer: the waits between attempts and the dice that spread them. A seam: tests move their clock instead of sleeping.
#pragma once

#include <atomic>
#include <cstdint>

#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"

namespace s3overlay::s3 {

// Thread-safe.
class Pacer {
 public:
  virtual ~Pacer() = default;

  virtual double Random() = 0;  // In [0, 1).

  // Returns when `duration` has passed, and earlier when the context is cancelled or its deadline has passed.
  virtual void Wait(Duration duration, const CallContext& context) = 0;
};

// Sleeps in slices of at most 100 ms of real time, so that a cancelled call is noticed soon.
class SleepingPacer final : public Pacer {
 public:
  explicit SleepingPacer(const Clock& clock);
  double Random() override;
  void Wait(Duration duration, const CallContext& context) override;

 private:
  const Clock& clock_;
  std::atomic<uint64_t> state_;
};

}  // namespace s3overlay::s3
