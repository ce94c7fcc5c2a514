// SPDX-License-Identifier: Apache-2.0
#include "cache/space_guard.h"

#include <sys/statvfs.h>

#include <algorithm>

namespace s3overlay {
namespace {

uint64_t Excess(uint64_t value, uint64_t limit) { return value > limit ? value - limit : 0; }

}  // namespace

uint64_t SpaceGuard::BytesToFree(uint64_t used, uint64_t incoming) const {
  const uint64_t over_limit = Excess(used + incoming, limits_.size_limit);
  struct statvfs space{};
  // Where the file system does not say, its own ENOSPC is what is left.
  if (limits_.min_free == 0 || ::statvfs(dir_.c_str(), &space) != 0) return over_limit;
  const uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  return std::max(over_limit, Excess(limits_.min_free + incoming, free));
}

}  // namespace s3overlay
