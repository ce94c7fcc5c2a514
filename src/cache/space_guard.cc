// SPDX-License-Identifier: Apache-2.0
#include "cache/space_guard.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>

namespace s3overlay {
namespace {

constexpr uint64_t kBytesBetweenQuestions = uint64_t{4} << 20;

uint64_t Excess(uint64_t value, uint64_t limit) { return value > limit ? value - limit : 0; }

}  // namespace

uint64_t SpaceGuard::BytesToFree(uint64_t used, uint64_t incoming) {
  const uint64_t over_limit = Excess(used + incoming, limits_.size_limit);
  if (limits_.min_free == 0) return over_limit;
  AskIfNeeded(incoming);
  return std::max(over_limit, Excess(limits_.min_free + incoming, free_));
}

bool SpaceGuard::IsReadOnly() const {
  struct statvfs space{};
  return ::statvfs(dir_.c_str(), &space) == 0 && (space.f_flag & ST_RDONLY) != 0;
}

void SpaceGuard::AskIfNeeded(uint64_t incoming) {
  since_asked_ += incoming;
  const bool is_far = Excess(free_, limits_.min_free) > 4 * kBytesBetweenQuestions;
  if (is_far && incoming > 0 && since_asked_ < kBytesBetweenQuestions) return;
  struct statvfs space{};
  // Where the file system does not say, its own ENOSPC is what is left.
  free_ = ::statvfs(dir_.c_str(), &space) == 0 ? static_cast<uint64_t>(space.f_bavail) * space.f_frsize : UINT64_MAX;
  since_asked_ = 0;
}

}  // namespace s3overlay
