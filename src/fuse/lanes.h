// SPDX-License-Identifier: Apache-2.0
//
// Lanes: where calls wait that a FUSE thread must not wait for. Each lane (one a store) has a bounded pool for names
// and one for bytes, so that hung reads delay no lookup, and a hung store delays no other.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "s3overlay/thread_pool.h"

namespace s3overlay {

enum class LaneKind { kNames, kBytes };

struct LanesOptions {
  int lanes = 1;
  size_t threads = 32;        // Of each pool.
  size_t queue_limit = 4096;  // Calls that wait for a thread; more are refused.
};

// Thread-safe.
class Lanes {
 public:
  explicit Lanes(const LanesOptions& options);

  // False when the lane's queue is full or the lanes have stopped; the task is then gone. A lane out of bounds is 0.
  [[nodiscard]] bool TrySubmit(int lane, LaneKind kind, ThreadPool::Task task);

  std::vector<QueueLength> GetQueues() const;

  // Drops what waits and returns when what runs has ended.
  void Stop();

 private:
  struct Lane {
    ThreadPool names;
    ThreadPool bytes;
  };
  std::vector<std::unique_ptr<Lane>> lanes_;  // Constant after construction.
};

}  // namespace s3overlay
