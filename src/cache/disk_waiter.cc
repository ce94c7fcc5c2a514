// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_waiter.h"

#include <memory>
#include <new>
#include <utility>

#include "s3overlay/mutex.h"

namespace s3overlay {
namespace {

// Between the one who waits and the task, whoever of them ends last.
struct Rendezvous {
  Mutex mu;
  CondVar changed;
  bool ended S3OVERLAY_GUARDED_BY(mu) = false;
  bool failed S3OVERLAY_GUARDED_BY(mu) = false;
  bool given_up S3OVERLAY_GUARDED_BY(mu) = false;
};

bool EndsWell(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

}  // namespace

DiskWaiter::DiskWaiter(DiskWaiterOptions options)
    : options_(std::move(options)), pool_({.name = "cache-reader", .threads = options_.threads, .queue_limit = 1024}) {}

DiskWaiter::Outcome DiskWaiter::Run(std::function<void()> task) {
  if (overdue_.load(std::memory_order_relaxed) > 0) return Outcome::kRefused;
  const auto meeting = std::make_shared<Rendezvous>();
  const bool taken = pool_.TrySubmit([this, meeting, task = std::move(task)] {
    const bool done = EndsWell(task);
    MutexLock lock(meeting->mu);
    meeting->ended = true;
    meeting->failed = !done;
    if (meeting->given_up) overdue_.fetch_sub(1, std::memory_order_relaxed);
    meeting->changed.Signal();
  });
  if (!taken) return Outcome::kRefused;
  const auto give_up_at = std::chrono::steady_clock::now() + options_.patience;
  MutexLock lock(meeting->mu);
  while (!meeting->ended) {
    const Duration left = give_up_at - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) {
      meeting->given_up = true;
      overdue_.fetch_add(1, std::memory_order_relaxed);
      options_.on_overdue();
      return Outcome::kOverdue;
    }
    meeting->changed.WaitFor(meeting->mu, left);
  }
  return meeting->failed ? Outcome::kFailed : Outcome::kDone;
}

}  // namespace s3overlay
