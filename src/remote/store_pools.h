// SPDX-License-Identifier: Apache-2.0
//
// StorePools: threads for GETs, as many for each store, so that those that hang on one store hold up none on another.
#pragma once

#include <memory>
#include <unordered_map>
#include <utility>

#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

// Thread-safe. A store's threads start with the first task for it.
class StorePools {
 public:
  explicit StorePools(ThreadPoolOptions each) : each_(std::move(each)) {}

  // As ThreadPool's; `store` is only a name here.
  [[nodiscard]] bool TrySubmit(const ObjectStore& store, ThreadPool::Task task) S3OVERLAY_EXCLUDES(mu_) {
    ThreadPool* const pool = PoolOf(store);
    return pool != nullptr && pool->TrySubmit(std::move(task));
  }

  // Of all stores together.
  QueueLength GetQueue() const S3OVERLAY_EXCLUDES(mu_) {
    QueueLength all{.name = each_.name};
    MutexLock lock(mu_);
    for (const auto& [store, pool] : pools_) {
      const QueueLength one = pool->GetQueue();
      all.length += one.length;
      all.limit += one.limit;
    }
    return all;
  }

  void Stop() S3OVERLAY_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      stopped_ = true;
    }
    for (const auto& [store, pool] : pools_) pool->Stop();  // None is added any more.
  }

 private:
  ThreadPool* PoolOf(const ObjectStore& store) S3OVERLAY_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (stopped_) return nullptr;
    const auto found = pools_.find(&store);
    if (found != pools_.end()) return found->second.get();
    return pools_.emplace(&store, std::make_unique<ThreadPool>(each_)).first->second.get();
  }

  const ThreadPoolOptions each_;

  mutable Mutex mu_;
  bool stopped_ S3OVERLAY_GUARDED_BY(mu_) = false;
  std::unordered_map<const ObjectStore*, std::unique_ptr<ThreadPool>> pools_;  // Added to under mu_, until stopped.
};

}  // namespace s3overlay
