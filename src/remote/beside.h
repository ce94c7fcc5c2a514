// SPDX-License-Identifier: Apache-2.0
//
// RunBeside: a task on another thread while the caller does something else.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "s3overlay/mutex.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

// Runs `task` on a thread of `pool` while `here` runs on the caller's, and returns when both are done. Where no thread
// came to the task by then, the caller runs it too: a busy pool costs time, never a hang. What one of them throws
// reaches the caller, once both are done.
inline void RunBeside(ThreadPool& pool, const std::function<void()>& task, const std::function<void()>& here) {
  struct State {
    std::atomic<bool> taken{false};
    Mutex mu;
    CondVar ended;
    bool done S3OVERLAY_GUARDED_BY(mu) = false;
    std::exception_ptr failure S3OVERLAY_GUARDED_BY(mu);
  };
  const auto run = [](const std::function<void()>& what) -> std::exception_ptr {
    try {
      what();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  };
  const auto state = std::make_shared<State>();
  // `task` itself is touched only by who takes it, and the caller is here until then.
  const bool submitted = pool.TrySubmit([state, &task, run] {
    if (state->taken.exchange(true)) return;
    std::exception_ptr failure = run(task);
    MutexLock lock(state->mu);
    state->failure = std::move(failure);
    state->done = true;
    state->ended.SignalAll();
  });
  const std::exception_ptr here_failed = run(here);
  std::exception_ptr task_failed;
  if (!submitted || !state->taken.exchange(true)) {
    task_failed = run(task);
  } else {
    MutexLock lock(state->mu);
    while (!state->done) state->ended.Wait(state->mu);
    task_failed = std::move(state->failure);
  }
  if (here_failed) std::rethrow_exception(here_failed);
  if (task_failed) std::rethrow_exception(task_failed);
}

}  // namespace s3overlay
