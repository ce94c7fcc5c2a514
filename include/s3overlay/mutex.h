// SPDX-License-Identifier: Apache-2.0
//
// Mutex, MutexLock and CondVar with the annotations that clang's thread-safety analysis checks (-Wthread-safety); it
// does not see those of libstdc++. Lock order in this house: inode table < metadata cache < flight table < cache index;
// no lock is held over I/O or over a reply to the kernel.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define S3OVERLAY_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define S3OVERLAY_THREAD_ANNOTATION(x)
#endif

#define S3OVERLAY_CAPABILITY(x) S3OVERLAY_THREAD_ANNOTATION(capability(x))
#define S3OVERLAY_SCOPED_CAPABILITY S3OVERLAY_THREAD_ANNOTATION(scoped_lockable)
#define S3OVERLAY_GUARDED_BY(x) S3OVERLAY_THREAD_ANNOTATION(guarded_by(x))
#define S3OVERLAY_REQUIRES(...) S3OVERLAY_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define S3OVERLAY_EXCLUDES(...) S3OVERLAY_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define S3OVERLAY_ACQUIRE(...) S3OVERLAY_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define S3OVERLAY_RELEASE(...) S3OVERLAY_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define S3OVERLAY_NO_THREAD_SAFETY_ANALYSIS S3OVERLAY_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace s3overlay {

class S3OVERLAY_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() S3OVERLAY_ACQUIRE() { mu_.lock(); }
  void Unlock() S3OVERLAY_RELEASE() { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

// Holds a Mutex for a scope; may be let go and taken again inside it.
class S3OVERLAY_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mu) S3OVERLAY_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() S3OVERLAY_RELEASE() {
    if (held_) mu_.Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void Unlock() S3OVERLAY_RELEASE() {
    mu_.Unlock();
    held_ = false;
  }
  void Lock() S3OVERLAY_ACQUIRE() {
    mu_.Lock();
    held_ = true;
  }

 private:
  Mutex& mu_;
  bool held_ = true;
};

// Waits give the mutex up and hold it again on return. They may wake for nothing: wait in a loop over the condition.
class CondVar {
 public:
  void Wait(Mutex& mu) S3OVERLAY_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }

  // Returns false when `duration` passed without a wake-up. Any duration is safe, Duration::max() included.
  bool WaitFor(Mutex& mu, std::chrono::nanoseconds duration) S3OVERLAY_REQUIRES(mu) {
    // An hour at a time: "now + max" would overflow, and every caller waits in a loop.
    const auto bounded = duration < std::chrono::hours(1) ? duration : std::chrono::nanoseconds(std::chrono::hours(1));
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    const bool woken = cv_.wait_until(lock, WaitClock::now() + bounded) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }

  void Signal() { cv_.notify_one(); }
  void SignalAll() { cv_.notify_all(); }

 private:
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
  using WaitClock = std::chrono::system_clock;  // g++ 12's TSan does not know pthread_cond_clockwait.
#else
  using WaitClock = std::chrono::steady_clock;  // Or a wall clock that is set back would hold every waiter up.
#endif

  std::condition_variable cv_;
};

}  // namespace s3overlay
