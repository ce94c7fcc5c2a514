// SPDX-License-Identifier: Apache-2.0
//
// ThreadPool: the only pool of worker threads. Each lane of work (demand reads, prefetch, cache writes, control) has
// one of its own; a task never waits for another task of its own pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "s3overlay/mutex.h"

namespace s3overlay {

struct ThreadPoolOptions {
  std::string name = "pool";  // Shown by `ps -L`, at most 15 characters.
  size_t threads = 4;         // Upper bound; threads start when work comes and none is idle.
  size_t queue_limit = 1024;  // Tasks that wait. More are refused, never waited for.
};

// A bounded queue, as `status` shows it.
struct QueueLength {
  std::string name;  // Of the threads that work it off.
  std::string unit = "tasks";
  uint64_t length = 0;
  uint64_t limit = 0;
};

// Thread-safe. The destructor lets running tasks end and drops those that wait.
class ThreadPool {
 public:
  using Task = std::function<void()>;

  explicit ThreadPool(ThreadPoolOptions options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // False when the queue is full, the pool is stopping, or there is no memory; the task is then not run. A task that
  // runs out of memory ends there, and whoever waits for it has to be told by what it holds. It must not throw others.
  [[nodiscard]] bool TrySubmit(Task task) S3OVERLAY_EXCLUDES(mu_);

  // Takes no more tasks, drops those that wait, returns when the running ones have ended. May be called twice.
  void Stop() S3OVERLAY_EXCLUDES(mu_);

  // Returns when the pool has nothing queued and nothing running; for tests and clean shutdown.
  void WaitIdle() S3OVERLAY_EXCLUDES(mu_);

  QueueLength GetQueue() const S3OVERLAY_EXCLUDES(mu_);

 private:
  void Work() S3OVERLAY_EXCLUDES(mu_);
  void RunTask(const Task& task) const;

  const ThreadPoolOptions options_;

  mutable Mutex mu_;
  CondVar work_available_;
  CondVar idle_;
  std::list<Task> queue_
      S3OVERLAY_GUARDED_BY(mu_);  // Unlike a deque it needs no memory to be empty: Stop must not fail.
  std::vector<std::thread> threads_ S3OVERLAY_GUARDED_BY(mu_);
  size_t waiting_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  size_t running_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;
};

}  // namespace s3overlay
