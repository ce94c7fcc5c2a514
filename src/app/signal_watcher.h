// SPDX-License-Identifier: Apache-2.0
//
// SignalWatcher: a thread of our own takes the signals, as libfuse would end the session on SIGHUP.
#pragma once

#include <functional>
#include <thread>

#include "s3overlay/clock.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

struct SignalActions {
  std::function<void()> end;          // SIGTERM or SIGINT, the first of them. On a thread of its own.
  std::function<void()> end_overdue;  // The watcher was still there end_limit later. Must not return.
  Duration end_limit = std::chrono::milliseconds(4500);
};

// SIGHUP is logged and ignored, SIGPIPE is ignored.
class SignalWatcher {
 public:
  // Blocks the signals in the calling thread: make it before any other thread.
  explicit SignalWatcher(SignalActions actions);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  void Watch();
  int NextSignal();
  bool WaitForStop();

  const SignalActions actions_;
  UniqueFd signals_;
  UniqueFd stop_;
  std::thread thread_;  // Last: it uses all the others.
};

}  // namespace s3overlay
