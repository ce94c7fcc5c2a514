// SPDX-License-Identifier: Apache-2.0
//
// How much has to go, on file systems that show at once what was given back, late, or never.
#include "cache/space_guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "support/fake_clock.h"

namespace s3overlay {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class SpaceGuardTest : public ::testing::Test {
 protected:
  // Evicts until `incoming` bytes may be written, writes them, and returns what was evicted.
  uint64_t Write(uint64_t incoming, bool shows_at_once) {
    uint64_t evicted = 0;
    while (const uint64_t needed = guard_.BytesToFree(used_, incoming)) {
      if (evicted > 1000 * kMiB) return evicted;
      const uint64_t batch = std::max(needed, 8 * kMiB);
      used_ -= batch;
      (shows_at_once ? free_ : hidden_) += batch;
      evicted += batch;
      guard_.NoteFreed(batch);
    }
    used_ += incoming;
    free_ -= incoming;
    return evicted;
  }

  uint64_t used_ = 10000 * kMiB;
  uint64_t free_ = 100 * kMiB;  // As the file system tells.
  uint64_t hidden_ = 0;         // Free too, and not shown yet.
  testing::FakeClock clock_;
  SpaceGuard guard_{
      [this] { return DiskSpace{.free = free_}; }, {.size_limit = 20000 * kMiB, .min_free = 100 * kMiB}, clock_};
};

TEST_F(SpaceGuardTest, WhatIsFreedIsWrittenAgainAndNoMore) {
  for (const bool shows_at_once : {true, false}) {
    uint64_t evicted = 0;
    for (int i = 0; i < 512; ++i) evicted += Write(kMiB / 8, shows_at_once);
    EXPECT_GE(evicted, 64 * kMiB);
    EXPECT_LE(evicted, 80 * kMiB) << (shows_at_once ? "at once" : "late");
    EXPECT_GE(free_ + hidden_, 100 * kMiB - kMiB);
  }
}

TEST_F(SpaceGuardTest, WhatShowsLateIsNotCountedTwice) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 64; ++i) (void)Write(kMiB / 8, false);
    free_ += std::exchange(hidden_, 0);
    (void)Write(kMiB / 8, false);
    EXPECT_GE(free_ + hidden_, 99 * kMiB) << round;
  }
  EXPECT_GT(used_, 9900 * kMiB);
}

TEST_F(SpaceGuardTest, WhatNeverShowsHasGoneToSomebodyElse) {
  EXPECT_EQ(Write(kMiB, false), 8 * kMiB);
  EXPECT_EQ(Write(kMiB, false), 0U);
  clock_.Advance(std::chrono::minutes(2));
  EXPECT_GE(guard_.BytesToFree(used_, 0), 2 * kMiB);
}

}  // namespace
}  // namespace s3overlay
