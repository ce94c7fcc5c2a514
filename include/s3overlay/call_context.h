// SPDX-License-Identifier: Apache-2.0
//
// CallContext: how long a call may take, how often it may try, and whether it may wait at all. It travels down the call
// stack as an argument, so that no room below has a time-out of its own making (docs of a store's retries:
// s3/retry_policy).
#pragma once

#include <atomic>

#include "s3overlay/clock.h"

namespace s3overlay {

struct CallContext {
  // No call returns later than this, but for the time that the kernel needs to notice.
  Deadline deadline = Deadline::Never();

  // False: answer from what is known now, or kWouldBlock. FUSE threads ask this way first.
  bool may_block = true;

  // How often a failed request is sent again. Lower where a later layer could stand in.
  int max_retries = 5;

  // Set when the process stops or nobody wants the answer any more; may be null. Outlives the call.
  const std::atomic<bool>* cancelled = nullptr;

  // Set when whoever hands the call on has come to know that it will not be answered (s3/breaker_store); as
  // `cancelled`, but the reason is not the caller's.
  const std::atomic<bool>* hopeless = nullptr;

  bool IsCancelled() const { return IsSet(cancelled) || IsSet(hopeless); }

 private:
  static bool IsSet(const std::atomic<bool>* flag) { return flag != nullptr && flag->load(std::memory_order_relaxed); }
};

}  // namespace s3overlay
