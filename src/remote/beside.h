// SPDX-License-Identifier: Apache-2.0
//
// RunBeside: a task on another thread while the caller does something else.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "s3overlay/mutex.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

// Runs `task` on a thread of `pool` while `here` runs on the caller's, and returns when both are done. Where no thread
// came to the task by then, the caller runs it too: a busy pool costs time, never a hang. Neither may throw.
inline void RunBeside(ThreadPool& pool, const std::function<void()>& task, const std::function<void()>& here) {
  struct State {
    std::atomic<bool> taken{false};
    Mutex mu;
    CondVar ended;
    bool done S3OVERLAY_GUARDED_BY(mu) = false;
  };
  const auto state = std::make_shared<State>();
  // `task` itself is touched only by who takes it, and the caller is here until then.
  const bool submitted = pool.TrySubmit([state, &task] {
    if (state->taken.exchange(true)) return;
    task();
    MutexLock lock(state->mu);
    state->done = true;
    state->ended.SignalAll();
  });
  here();
  if (!submitted || !state->taken.exchange(true)) {
    task();
    return;
  }
  MutexLock lock(state->mu);
  while (!state->done) state->ended.Wait(state->mu);
}

}  // namespace s3overlay
