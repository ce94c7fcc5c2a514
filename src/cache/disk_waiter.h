// SPDX-License-Identifier: Apache-2.0
//
// DiskWaiter: runs what may wait for the cache's disk on threads of its own, so that nobody who answers a reader hangs
// with a disk that hangs: after `patience` the disk is left alone until it has answered, and the cache misses at once.
// A thread inside a system call cannot be called back; that is why it has to be one that nobody else needs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

#include "s3overlay/clock.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct DiskWaiterOptions {
  // Longer: a disk under heavy load is given up less often. Shorter: reads go on sooner without one that hangs.
  Duration patience = std::chrono::seconds(1);
  size_t threads = 8;  // System calls on their way to the disk at a time.
  std::function<void()> on_overdue = [] {};
};

// Thread-safe. The destructor waits for what is under way.
class DiskWaiter {
 public:
  enum class Outcome {
    kDone,
    kOverdue,  // Started, and may yet end: what the task uses has to be its own.
    kRefused,  // Never run.
    kFailed,   // Ended by a lack of memory.
  };

  explicit DiskWaiter(DiskWaiterOptions options);

  // Returns when `task` has run, or when patience has ended.
  [[nodiscard]] Outcome Run(std::function<void()> task);

  // Some task is: the disk is left alone.
  bool is_overdue() const { return overdue_ > 0; }

  QueueLength GetQueue() const { return pool_.GetQueue(); }

  void Stop() { pool_.Stop(); }

 private:
  const DiskWaiterOptions options_;
  std::atomic<int> overdue_{0};  // Tasks that nobody waits for any more.
  ThreadPool pool_;
};

}  // namespace s3overlay
