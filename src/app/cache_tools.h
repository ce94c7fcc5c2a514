// SPDX-License-Identifier: Apache-2.0
//
// What `cache stats`, `cache clear` and `cache verify` do: through the mount that owns the cache, or on the directory
// itself where nobody does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "s3overlay/block_cache.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Which cache. At most one is given; with neither, that of the only live mount.
struct CacheTarget {
  std::string mountpoint;
  std::string dir;
};

struct CacheStatsAnswer {
  BlockCacheStats stats;
  int64_t owner_pid = 0;         // 0: no process has it open.
  std::string owner_mountpoint;  // Empty: the same.
};

// All fail with kNotFound where no cache is there, and kInvalidArgument where it is not clear which one is meant.
Result<CacheStatsAnswer> GetCacheStats(const CacheTarget& target);
Result<void> ClearCache(const CacheTarget& target);

// Drops what is damaged; the report says how much that was.
Result<CacheVerifyReport> VerifyCache(const CacheTarget& target);

}  // namespace s3overlay
