// SPDX-License-Identifier: Apache-2.0
//
// SingleFlight: of many who ask the same question at the same time, one asks and all get the answer.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "s3overlay/call_context.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Null while the call may go on; else why it ends.
inline std::optional<Error> EndOfPatience(const CallContext& context, const Clock& clock) {
  if (context.IsCancelled()) return Error{ErrorCode::kCancelled, "cancelled"};
  if (context.deadline.HasPassed(clock)) return Error{ErrorCode::kTimedOut, "the deadline passed"};
  return std::nullopt;
}

// How long a wait may last before deadline and cancellation are looked at again.
inline constexpr Duration kWaitSlice = std::chrono::milliseconds(50);

// Thread-safe. T copies cheaply. Failures go to all who wait and are never remembered.
template <typename T>
class SingleFlight {
 public:
  explicit SingleFlight(const Clock& clock) : clock_(clock) {}

  // Runs `ask` on the calling thread, or waits for who is running it for the same key. A leader that ran out of its own
  // time does not take the others with it: one of them asks again.
  Result<T> Run(const std::string& key, const CallContext& context, const std::function<Result<T>()>& ask)
      S3OVERLAY_EXCLUDES(mu_) {
    while (true) {
      MutexLock lock(mu_);
      auto fresh = std::make_shared<Flight>();
      auto [at, is_leader] = flights_.try_emplace(key, std::move(fresh));
      if (is_leader) {
        lock.Unlock();
        Result<T> answer = AskOrLand(key, ask);
        lock.Lock();
        Land(key, answer);
        return answer;
      }
      const std::shared_ptr<Flight> flight = at->second;
      while (!flight->answer) {
        if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
        landed_.WaitFor(mu_, kWaitSlice);
      }
      if (!IsLeadersOwn(*flight->answer)) return *flight->answer;
      if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
    }
  }

 private:
  static constexpr char kNoMemory[] = "no memory";  // So short that a string of it takes none.

  struct Flight {
    std::optional<Result<T>> answer;
  };

  // An exception (no memory) is the leader's alone as well.
  Result<T> AskOrLand(const std::string& key, const std::function<Result<T>()>& ask) S3OVERLAY_EXCLUDES(mu_) {
    try {
      return ask();
    } catch (...) {
      MutexLock lock(mu_);
      Land(key, Error{ErrorCode::kCancelled, kNoMemory});
      throw;
    }
  }

  static bool IsLeadersOwn(const Result<T>& answer) {
    return !answer && (answer.error().code == ErrorCode::kTimedOut || answer.error().code == ErrorCode::kCancelled);
  }

  void Land(const std::string& key, const Result<T>& answer) S3OVERLAY_REQUIRES(mu_) {
    const auto at = flights_.find(key);
    try {
      at->second->answer = answer;
    } catch (const std::bad_alloc&) {
      at->second->answer = Error{ErrorCode::kCancelled, kNoMemory};
    }
    flights_.erase(at);
    landed_.SignalAll();
  }

  const Clock& clock_;

  Mutex mu_;
  CondVar landed_;
  std::map<std::string, std::shared_ptr<Flight>> flights_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
