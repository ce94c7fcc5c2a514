// SPDX-License-Identifier: Apache-2.0
//
// SpaceGuard: how much has to go before something may be written, by the cache's own limit and by what the file system
// has left for others. Asks the file system for every write where it is nearly full, and once for a few MiB where it is
// not. Of one thread.
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
  uint64_t BytesToFree(uint64_t used, uint64_t incoming);

  // False where nothing that is freed here could ever make room for it.
  bool CanEverHold(uint64_t bytes) const { return bytes <= limits_.size_limit; }

  // Whether the file system, as it is mounted now, takes no changes at all.
  bool IsReadOnly() const;

 private:
  void AskIfNeeded(uint64_t incoming);

  const std::string dir_;
  const SpaceLimits limits_;
  uint64_t free_ = 0;         // Of the file system, when it was last asked.
  uint64_t since_asked_ = 0;  // Bytes that were to be written from then on.
};

}  // namespace s3overlay
