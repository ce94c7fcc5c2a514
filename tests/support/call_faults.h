// SPDX-License-Identifier: Apache-2.0
//
// CallFaults: what a fake source's calls meet before they are answered: failures, gates, counters. Thread-safe.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "s3overlay/call_context.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay::testing {

enum class SourceCall { kLookup, kList, kReadLink, kOpen, kRead, kCount };

class CallFaults {
 public:
  using Call = SourceCall;

  // `lane` is the one that kWouldBlock names.
  CallFaults(std::string name, int lane) : name_(std::move(name)), lane_(lane) {}

  // Calls about `path` (and handles open on it), or all calls of one kind, or simply all calls, fail.
  void Fail(ErrorCode code) {
    MutexLock lock(mu_);
    fail_all_ = code;
  }
  void FailCall(Call call, ErrorCode code) {
    MutexLock lock(mu_);
    fail_call_[Index(call)] = code;
  }
  void FailPath(const std::string& path, ErrorCode code) {
    MutexLock lock(mu_);
    fail_path_[path] = code;
  }
  void Heal() {
    MutexLock lock(mu_);
    fail_all_.reset();
    fail_call_.fill(std::nullopt);
    fail_path_.clear();
  }

  // While a gate is closed, calls of that kind (about `path`, or about anything with "*") wait, and answer kWouldBlock
  // where they may not.
  void CloseGate(Call call, const std::string& path = "*") {
    MutexLock lock(mu_);
    gates_[Index(call)] = path;
  }
  void OpenGate(Call call) {
    MutexLock lock(mu_);
    gates_[Index(call)].reset();
    changed_.SignalAll();
  }
  // Returns when that many calls wait at the gate; false if they do not come within 20 s.
  bool WaitUntilBlocked(Call call, int calls = 1) {
    const Deadline limit = Deadline::After(clock_, std::chrono::seconds(20));
    MutexLock lock(mu_);
    while (blocked_[Index(call)] < calls) {
      if (limit.HasPassed(clock_)) return false;
      changed_.WaitFor(mu_, std::chrono::milliseconds(5));
    }
    return true;
  }
  // True: nothing is known at once. Every call with may_block false answers kWouldBlock.
  void SetAlwaysBlocks(bool blocks) {
    MutexLock lock(mu_);
    always_blocks_ = blocks;
  }

  // How many calls came that were not answered with kWouldBlock.
  int count(Call call) const {
    MutexLock lock(mu_);
    return counts_[Index(call)];
  }
  int would_block_count() const {
    MutexLock lock(mu_);
    return would_block_count_;
  }

 protected:
  // Counts the call, waits at its gate, and says how it fails.
  Result<void> Enter(Call call, std::string_view path, const CallContext& context) {
    MutexLock lock(mu_);
    if (!context.may_block && (always_blocks_ || IsGated(call, path))) {
      ++would_block_count_;
      return Error{.code = ErrorCode::kWouldBlock, .message = name_, .lane = lane_};
    }
    ++counts_[Index(call)];
    S3OVERLAY_RETURN_IF_ERROR(WaitAtGate(call, path, context));
    auto failure = fail_call_[Index(call)] ? fail_call_[Index(call)] : fail_all_;
    if (const auto found = fail_path_.find(path); found != fail_path_.end()) failure = found->second;
    if (failure) return Error{.code = *failure, .message = name_ + " fails on purpose", .sys_errno = EIO};
    return {};
  }

 private:
  static size_t Index(Call call) { return static_cast<size_t>(call); }

  template <typename T>
  using PerCall = std::array<T, static_cast<size_t>(Call::kCount)>;

  bool IsGated(Call call, std::string_view path) const S3OVERLAY_REQUIRES(mu_) {
    const auto& gate = gates_[Index(call)];
    return gate && (*gate == "*" || *gate == path);
  }

  Result<void> WaitAtGate(Call call, std::string_view path, const CallContext& context) S3OVERLAY_REQUIRES(mu_) {
    ++blocked_[Index(call)];
    changed_.SignalAll();
    while (IsGated(call, path) && !context.IsCancelled() && !context.deadline.HasPassed(clock_)) {
      changed_.WaitFor(mu_, std::chrono::milliseconds(5));
    }
    --blocked_[Index(call)];
    if (!IsGated(call, path)) return {};
    return Error{.code = context.IsCancelled() ? ErrorCode::kCancelled : ErrorCode::kTimedOut, .message = name_};
  }

  const std::string name_;
  const int lane_;
  const SystemClock clock_;

  mutable Mutex mu_;
  CondVar changed_;
  std::optional<ErrorCode> fail_all_ S3OVERLAY_GUARDED_BY(mu_);
  PerCall<std::optional<ErrorCode>> fail_call_ S3OVERLAY_GUARDED_BY(mu_);
  std::map<std::string, ErrorCode, std::less<>> fail_path_ S3OVERLAY_GUARDED_BY(mu_);
  PerCall<std::optional<std::string>> gates_ S3OVERLAY_GUARDED_BY(mu_);
  PerCall<int> counts_ S3OVERLAY_GUARDED_BY(mu_) = {};
  PerCall<int> blocked_ S3OVERLAY_GUARDED_BY(mu_) = {};
  bool always_blocks_ S3OVERLAY_GUARDED_BY(mu_) = false;
  int would_block_count_ S3OVERLAY_GUARDED_BY(mu_) = 0;
};

}  // namespace s3overlay::testing
