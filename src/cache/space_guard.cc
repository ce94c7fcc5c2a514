// SPDX-License-Identifier: Apache-2.0
#include "cache/space_guard.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>

namespace s3overlay {
namespace {

constexpr uint64_t kBytesBetweenQuestions = uint64_t{4} << 20;
constexpr uint64_t kUnknown = UINT64_MAX / 4;  // Free bytes; with room for sums.
constexpr Duration kShowsWithin = std::chrono::minutes(1);

uint64_t Excess(uint64_t value, uint64_t limit) { return value > limit ? value - limit : 0; }

}  // namespace

DiskSpace AskFileSystem(const std::string& dir) {
  struct statvfs space{};
  // Where the file system does not say, its own ENOSPC is what is left.
  if (::statvfs(dir.c_str(), &space) != 0) return {.free = kUnknown};
  return {.free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize, .read_only = (space.f_flag & ST_RDONLY) != 0};
}

uint64_t SpaceGuard::BytesToFree(uint64_t used, uint64_t incoming) {
  const uint64_t over_limit = Excess(used + incoming, limits_.size_limit);
  if (limits_.min_free == 0) return over_limit;
  AskIfNeeded(incoming);
  return std::max(over_limit, Excess(limits_.min_free + incoming, free_ + freed_bytes_));
}

void SpaceGuard::NoteFreed(uint64_t bytes) {
  if (limits_.min_free == 0 || bytes == 0) return;
  freed_.push_back({.when = clock_.Now(), .bytes = bytes});
  freed_bytes_ += bytes;
}

void SpaceGuard::AskIfNeeded(uint64_t incoming) {
  since_asked_ += incoming;
  const bool is_far = Excess(free_, limits_.min_free) > 4 * kBytesBetweenQuestions;
  if (is_far && incoming > 0 && since_asked_ < kBytesBetweenQuestions) return;
  const uint64_t expected = Excess(free_, since_asked_);
  free_ = ask_().free;
  since_asked_ = 0;
  TakeOffWhatShows(Excess(free_, expected));
}

// What does not show after so long has gone to somebody else.
void SpaceGuard::TakeOffWhatShows(uint64_t bytes) {
  while (!freed_.empty()) {
    Freed& oldest = freed_.front();
    const bool is_old = clock_.Now() - oldest.when >= kShowsWithin;
    const uint64_t part = is_old ? oldest.bytes : std::min(oldest.bytes, bytes);
    freed_bytes_ -= part;
    oldest.bytes -= part;
    bytes -= std::min(bytes, part);
    if (oldest.bytes > 0) return;
    freed_.pop_front();
  }
}

}  // namespace s3overlay
