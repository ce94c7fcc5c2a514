// SPDX-License-Identifier: Apache-2.0
#include "s3/retry_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace s3overlay::s3 {

// One run: what was tried, and how the last attempt ended.
struct RetryLoop::Progress {
  int attempts = 0;
  RetryCount count;
  bool renewed_credentials = false;
  bool set_clock = false;
  std::optional<Failure> last{};
};

RetryLoop::RetryLoop(RetryPolicy policy, SignedSender& sender, Pacer& pacer, const Clock& clock, Metrics& metrics)
    : policy_(policy), sender_(sender), pacer_(pacer), clock_(clock), metrics_(metrics) {}

Result<void> RetryLoop::Run(std::string_view subject, const CallContext& context, const Attempt& attempt) const {
  Progress progress;
  while (true) {
    if (std::optional<Error> late = OutOfTime(subject, context, progress)) {
      metrics_.Add(Metric::kS3Errors);
      return *std::move(late);
    }
    if (progress.attempts > 0) metrics_.Add(Metric::kS3Retries);
    progress.last = attempt(++progress.attempts);
    if (!progress.last) return {};
    if (progress.last->error.code == ErrorCode::kBadResponse) metrics_.Add(Metric::kS3BadResponses);
    if (!Prepare(context, progress)) return GiveUp(progress);
  }
}

std::optional<Error> RetryLoop::OutOfTime(std::string_view subject, const CallContext& context,
                                          const Progress& progress) const {
  if (context.IsCancelled()) return Error{ErrorCode::kCancelled, fmt::format("{}: cancelled", subject)};
  if (!context.deadline.HasPassed(clock_)) return std::nullopt;
  if (!progress.last) return Error{ErrorCode::kTimedOut, fmt::format("{}: no time was left to ask", subject)};
  const Error& last = progress.last->error;
  if (last.code == ErrorCode::kThrottled) return last;
  return Error{ErrorCode::kTimedOut,
               fmt::format("{} (the time was up after {} attempts)", last.message, progress.attempts)};
}

// Does what the failure needs before the next attempt; false when there is to be none.
bool RetryLoop::Prepare(const CallContext& context, Progress& progress) const {
  const Failure& failure = *progress.last;
  switch (failure.remedy) {
    case Remedy::kNone: return false;
    case Remedy::kRetry:
    case Remedy::kSlowDown: return Pause(context, progress);
    case Remedy::kNewCredentials:
      if (std::exchange(progress.renewed_credentials, true) || !failure.signed_with) return false;
      return sender_.RenewCredentials(*failure.signed_with, context);
    case Remedy::kSetClock:
      if (std::exchange(progress.set_clock, true) || !failure.store_time) return false;
      sender_.SetClock(*failure.store_time);
      return true;
  }
  return false;
}

bool RetryLoop::Pause(const CallContext& context, Progress& progress) const {
  RetryPolicy policy = policy_;
  policy.max_retries = std::min(policy.max_retries, context.max_retries);
  const std::optional<Duration> delay =
      NextDelay(policy, *progress.last, progress.count, context.deadline.Remaining(clock_), pacer_.Random());
  if (!delay) return false;
  ++(progress.last->remedy == Remedy::kSlowDown ? progress.count.slow_downs : progress.count.retries);
  pacer_.Wait(*delay, context);
  return true;
}

Error RetryLoop::GiveUp(const Progress& progress) const {
  Error error = progress.last->error;
  // These two are answers.
  if (error.code != ErrorCode::kNotFound && error.code != ErrorCode::kVersionGone) metrics_.Add(Metric::kS3Errors);
  if (progress.attempts > 1) error.message += fmt::format(" (after {} attempts)", progress.attempts);
  return error;
}

}  // namespace s3overlay::s3
