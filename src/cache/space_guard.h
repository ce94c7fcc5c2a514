// SPDX-License-Identifier: Apache-2.0
//
// SpaceGuard: how much has to go before something may be written, by the cache's own limit and by what the file system
// has left for others. Pure but for the question to the file system.
#pragma once

#include <cstdint>
#include <string>

namespace s3overlay {

struct SpaceLimits {
  uint64_t size_limit = 0;  // Bytes that the cache may take.
  uint64_t min_free = 0;    // Bytes of the file system that stay free.
};

class SpaceGuard {
 public:
  SpaceGuard(std::string dir, SpaceLimits limits) : dir_(std::move(dir)), limits_(limits) {}

  // Bytes to free before `incoming` more may be written on top of `used`; zero where they may be at once.
  uint64_t BytesToFree(uint64_t used, uint64_t incoming) const;

  // False where nothing that is freed here could ever make room for it.
  bool CanEverHold(uint64_t bytes) const { return bytes <= limits_.size_limit; }

 private:
  const std::string dir_;
  const SpaceLimits limits_;
};

}  // namespace s3overlay
