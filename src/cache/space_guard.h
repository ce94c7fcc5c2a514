// SPDX-License-Identifier: Apache-2.0
//
// SpaceGuard: how much has to go before something may be written, by the cache's own limit and by what the file system
// has left for others. Asks the file system for every write where it is nearly full, and once for a few MiB where it is
// not. Of one thread.
//
// Some file systems show late what was given back (btrfs with its next commit, XFS when its threads have been there,
// all while somebody has the file open). Until then it is counted as free, or the whole cache would go for it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "s3overlay/clock.h"

namespace s3overlay {

struct SpaceLimits {
  uint64_t size_limit = 0;  // Bytes that the cache may take.
  uint64_t min_free = 0;    // Bytes of the file system that stay free.
};

// What a file system has to say.
struct DiskSpace {
  uint64_t free = 0;  // Bytes.
  bool read_only = false;
};
DiskSpace AskFileSystem(const std::string& dir);

class SpaceGuard {
 public:
  using Ask = std::function<DiskSpace()>;

  SpaceGuard(Ask ask, SpaceLimits limits, const Clock& clock) : ask_(std::move(ask)), limits_(limits), clock_(clock) {}

  // Bytes to free before `incoming` more may be written on top of `used`; zero where they may be at once.
  uint64_t BytesToFree(uint64_t used, uint64_t incoming);

  // So much was given back to the file system.
  void NoteFreed(uint64_t bytes);

  // False where nothing that is freed here could ever make room for it.
  bool CanEverHold(uint64_t bytes) const { return bytes <= limits_.size_limit; }

  // Whether the file system, as it is mounted now, takes no changes at all.
  bool IsReadOnly() const { return ask_().read_only; }

 private:
  struct Freed {
    TimePoint when;
    uint64_t bytes = 0;
  };

  void AskIfNeeded(uint64_t incoming);
  void TakeOffWhatShows(uint64_t bytes);

  const Ask ask_;
  const SpaceLimits limits_;
  const Clock& clock_;
  uint64_t free_ = 0;         // Of the file system, when it was last asked.
  uint64_t since_asked_ = 0;  // Bytes that were to be written from then on.
  std::deque<Freed> freed_;   // And does not show yet; oldest first.
  uint64_t freed_bytes_ = 0;  // All of it.
};

}  // namespace s3overlay
