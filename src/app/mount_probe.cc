// SPDX-License-Identifier: Apache-2.0
#include "app/mount_probe.h"

#include <fmt/format.h>

#include <optional>

#include "s3overlay/thread_pool.h"

namespace s3overlay {
namespace {

constexpr int kRetries = 2;

enum class Weight { kNone, kWarning, kOutage, kFatal };

Weight WeightOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound: return Weight::kNone;   // Nothing below the prefix: an empty layer.
    case ErrorCode::kDenied: return Weight::kWarning;  // The right to list may be missing where reads are allowed.
    case ErrorCode::kThrottled: return Weight::kWarning;
    case ErrorCode::kUnavailable:
    case ErrorCode::kBadResponse:
    case ErrorCode::kTimedOut: return Weight::kOutage;
    case ErrorCode::kCredentials:
    case ErrorCode::kMisconfigured:
    case ErrorCode::kNotADirectory:
    case ErrorCode::kIsADirectory:
    case ErrorCode::kVersionGone:
    case ErrorCode::kArchived:
    case ErrorCode::kWouldBlock:
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kSystem: return Weight::kFatal;
  }
  return Weight::kFatal;
}

Result<void> Ask(const ProbeTarget& target, const CallContext& context) {
  const std::string below = target.prefix.empty() || target.prefix.ends_with('/') ? target.prefix : target.prefix + "/";
  const ListRequest request{.bucket = target.bucket,
                            .prefix = below,
                            .delimiter = "",
                            .continuation_token = "",
                            .start_after = "",
                            .max_keys = 1};
  S3OVERLAY_RETURN_IF_ERROR(target.store->List(request, context));
  return {};
}

std::vector<Result<void>> AskAll(const std::vector<ProbeTarget>& targets, const CallContext& context) {
  std::vector<Result<void>> answers(targets.size());
  ThreadPool pool({.name = "probe", .threads = targets.size(), .queue_limit = targets.size()});
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!pool.TrySubmit([&, i] { answers[i] = Ask(targets[i], context); })) answers[i] = Ask(targets[i], context);
  }
  pool.WaitIdle();
  return answers;
}

std::string Describe(const ProbeTarget& target, const Error& error) {
  return fmt::format("{} at {}: {}", target.spec, target.store->url(), error.message);
}

}  // namespace

Result<std::vector<std::string>> ProbeLayers(const std::vector<ProbeTarget>& targets, const ProbeOptions& options,
                                             const Clock& clock) {
  std::vector<std::string> warnings;
  if (targets.empty()) return warnings;
  const CallContext context{.deadline = Deadline::After(clock, options.timeout),
                            .may_block = true,
                            .max_retries = kRetries,
                            .cancelled = options.cancelled};
  const std::vector<Result<void>> answers = AskAll(targets, context);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (answers[i]) continue;
    Error error = answers[i].error();
    const Weight weight = WeightOf(error.code);
    if (weight == Weight::kNone) continue;
    error.message = Describe(targets[i], error);
    if (weight == Weight::kFatal || (weight == Weight::kOutage && options.outage_is_error)) return error;
    warnings.push_back(error.message);
  }
  return warnings;
}

}  // namespace s3overlay
