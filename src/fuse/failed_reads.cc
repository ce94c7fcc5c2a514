// SPDX-License-Identifier: Apache-2.0
#include "fuse/failed_reads.h"

#include <algorithm>
#include <chrono>

namespace s3overlay {
namespace {

// The kernel asks again at once. A program that tries again by itself may come later.
constexpr Duration kMoment = std::chrono::seconds(1);
constexpr size_t kMostKept = 64;  // Readahead has some side by side.

}  // namespace

void FailedReads::Note(const ByteRange& range, const Error& error, TimePoint now) {
  MutexLock lock(mu_);
  std::erase_if(failures_, [&](const Failure& failure) { return now - failure.at >= kMoment; });
  if (failures_.size() == kMostKept) failures_.erase(failures_.begin());
  failures_.push_back({range, error, now});
}

std::optional<Error> FailedReads::Find(const ByteRange& range, TimePoint now) const {
  MutexLock lock(mu_);
  const auto found = std::ranges::find_if(
      failures_, [&](const Failure& failure) { return now - failure.at < kMoment && failure.range.Contains(range); });
  if (found == failures_.end()) return std::nullopt;
  return found->error;
}

}  // namespace s3overlay
