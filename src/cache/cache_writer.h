// SPDX-License-Identifier: Apache-2.0
//
// CacheWriter: the one thread that writes the cache, and its queue. The queue is bounded by bytes: a block beyond the
// bound is refused at once, as nobody may wait for the cache.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <thread>
#include <variant>

#include "cache/cache_storage.h"
#include "s3overlay/mutex.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

// Thread-safe.
class CacheWriter {
 public:
  using Command = std::function<void()>;

  // `storage` has been started; from here on it belongs to the thread.
  CacheWriter(CacheStorage& storage, uint64_t queue_bytes);
  ~CacheWriter() { Stop(); }
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  // False where the queue is full or closed.
  [[nodiscard]] bool TryPush(BlockWrite write) S3OVERLAY_EXCLUDES(mu_);

  QueueLength GetQueue() const S3OVERLAY_EXCLUDES(mu_);

  // Runs on the thread, after all that was queued before. Dropped once the writer stops.
  void Post(Command command) S3OVERLAY_EXCLUDES(mu_);

  // The same, and returns when it has run.
  void RunAndWait(Command command) S3OVERLAY_EXCLUDES(mu_);

  // Forgets blocks that wait; returns how many.
  uint64_t DropQueued() S3OVERLAY_EXCLUDES(mu_);

  // Takes nothing more, writes what is queued, ends the thread. May be called twice.
  void Stop() S3OVERLAY_EXCLUDES(mu_);

 private:
  using Task = std::variant<BlockWrite, Command>;

  void Run() S3OVERLAY_EXCLUDES(mu_);
  void RunTask(const Task& task) S3OVERLAY_EXCLUDES(mu_);
  bool WaitForTask() S3OVERLAY_REQUIRES(mu_);

  // Constant after construction.
  const uint64_t queue_bytes_;

  // Of the thread.
  CacheStorage& storage_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Task> queue_ S3OVERLAY_GUARDED_BY(mu_);
  uint64_t queued_bytes_ S3OVERLAY_GUARDED_BY(mu_) = 0;  // By BytesOf, the block being written included.
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace s3overlay
