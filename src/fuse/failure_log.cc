// SPDX-License-Identifier: Apache-2.0
#include "fuse/failure_log.h"

#include <chrono>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr uint64_t kToldInAMinute = 20;

std::string_view NameOf(FailedCall call) {
  switch (call) {
    case FailedCall::kOpen: return "open";
    case FailedCall::kRead: return "read";
    case FailedCall::kList: return "list";
    case FailedCall::kAny:
    case FailedCall::kCount: break;
  }
  return "call";
}

}  // namespace

void FailureLog::Note(FailedCall call, std::string_view subject, const Error& error) {
  uint64_t held_back = 0;
  {
    MutexLock lock(mu_);
    Minute& minute = minutes_[static_cast<size_t>(call)];
    const TimePoint now = clock_.Now();
    if (minute.began_at == TimePoint::min() || now - minute.began_at >= std::chrono::minutes(1)) {
      held_back = minute.held_back;
      minute = {.began_at = now, .told = 0, .held_back = 0};
    }
    if (minute.told >= kToldInAMinute) {
      ++minute.held_back;
      return;
    }
    ++minute.told;
  }
  if (held_back > 0) log::Warning("{}: {} more failed, which are not logged one by one", NameOf(call), held_back);
  log::Warning("{} {}: {}", NameOf(call), subject, error.message);
}

}  // namespace s3overlay
