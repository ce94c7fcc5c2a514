// SPDX-License-Identifier: Apache-2.0
#include "remote/readahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace s3overlay {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBlock = 128 << 10;

uint64_t TotalOf(const std::vector<ByteRange>& ranges) {
  uint64_t total = 0;
  for (const ByteRange& range : ranges) total += range.size;
  return total;
}

uint64_t Scatter(uint64_t i) { return (i * 6364136223846793005U + 1442695040888963407U) >> 20; }

TEST(ReadaheadTest, OpensWideAtTheSecondReadInARow) {
  Readahead readahead({.file_size = 1024 * kMiB});
  EXPECT_TRUE(readahead.OnRead({0, kMiB}).prefetch.empty());
  const auto second = readahead.OnRead({kMiB, kMiB}).prefetch;
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(second.front().offset, 2 * kMiB);
  EXPECT_EQ(TotalOf(second), 16 * kMiB);
  EXPECT_GE(second.size(), 8U);  // Side by side from the beginning.
}

TEST(ReadaheadTest, CoversASequentialFileOnceAndKeepsToTheWindow) {
  constexpr uint64_t kSize = 900 * kMiB + 17;
  Readahead readahead({.file_size = kSize});
  uint64_t covered = 2 * kMiB;
  for (uint64_t at = 0; at < kSize; at += kMiB) {
    const ByteRange read = Intersect({at, kMiB}, {0, kSize});
    for (const ByteRange& range : readahead.OnRead(read).prefetch) {
      EXPECT_EQ(range.offset, covered);
      EXPECT_LE(range.size, 8 * kMiB);
      EXPECT_EQ(range.offset % kBlock, 0U);
      covered = range.end();
    }
    EXPECT_LE(covered, read.end() + 257 * kMiB);
    EXPECT_GE(covered, std::min(kSize, at == 0 ? 0 : read.end() + kMiB));
  }
  EXPECT_EQ(covered, kSize);
}

TEST(ReadaheadTest, WindowGrowsOnlyForAReaderWhoHasToWait) {
  Readahead waits({.file_size = 1024 * kMiB});
  Readahead has_all({.file_size = 1024 * kMiB});
  uint64_t of_waiting = 0;
  uint64_t of_other = 0;
  for (uint64_t at = 0; at < 100 * kMiB; at += kMiB) {
    of_waiting += TotalOf(waits.OnRead({at, kMiB}, {.waits = true}).prefetch);
    of_other += TotalOf(has_all.OnRead({at, kMiB}, {.waits = false}).prefetch);
  }
  EXPECT_GE(of_waiting, 200 * kMiB);
  EXPECT_LE(of_other, 116 * kMiB);
}

TEST(ReadaheadTest, WindowStopsGrowingWhereThatMakesNobodyFaster) {
  Readahead limited({.file_size = 4096 * kMiB});
  Readahead scales({.file_size = 4096 * kMiB});
  TimePoint now{};
  TimePoint later{};
  uint64_t of_limited = 0;
  uint64_t of_scaling = 0;
  for (uint64_t at = 0; at < 400 * kMiB; at += kMiB) {
    now += std::chrono::milliseconds(2);
    later += std::chrono::microseconds(at < 20 * kMiB ? 2000 : at < 60 * kMiB ? 1000 : 500);
    of_limited += TotalOf(limited.OnRead({at, kMiB}, {.now = now}).prefetch);
    of_scaling += TotalOf(scales.OnRead({at, kMiB}, {.now = later}).prefetch);
  }
  EXPECT_LE(of_limited, 470 * kMiB);
  EXPECT_GE(of_scaling, 520 * kMiB);
}

TEST(ReadaheadTest, KeepsToTheShareThatItIsGiven) {
  Readahead readahead({.file_size = 1024 * kMiB});
  uint64_t asked = 0;
  for (uint64_t at = 0; at < 200 * kMiB; at += kMiB) {
    asked += TotalOf(readahead.OnRead({at, kMiB}, {.waits = true, .allowance = 6 * kMiB}).prefetch);
    EXPECT_LE(asked, at + 8 * kMiB);
  }
  EXPECT_GE(asked, 199 * kMiB);
}

TEST(ReadaheadTest, WhatWasRefusedIsAskedForAgain) {
  Readahead readahead({.file_size = 1024 * kMiB});
  readahead.OnRead({0, kMiB});
  const auto asked = readahead.OnRead({kMiB, kMiB}).prefetch;
  const ByteRange refused{6 * kMiB, asked.back().end() - 6 * kMiB};
  readahead.OnRefused(refused);
  uint64_t from = 0;
  for (uint64_t at = 2 * kMiB; from == 0 && at < 8 * kMiB; at += kMiB) {
    const auto again = readahead.OnRead({at, kMiB}, {.waits = false}).prefetch;
    if (!again.empty()) from = again.front().offset;
  }
  EXPECT_EQ(from, 6 * kMiB);
}

TEST(ReadaheadTest, RandomReadsPrefetchNothing) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t i = 0; i < 1000; ++i) {
    const uint64_t at = Scatter(i) % (1000 * kMiB) / 4096 * 4096;
    EXPECT_TRUE(readahead.OnRead({at, 4096}).prefetch.empty()) << at;
  }
}

// The kernel cuts a large read into several.
TEST(ReadaheadTest, LargeReadsAtRandomAreSoonKnownForWhatTheyAre) {
  Readahead readahead({.file_size = 100'000 * kMiB});
  uint64_t wasted = 0;
  for (uint64_t i = 1; i < 100; ++i) {
    const uint64_t at = Scatter(i) % (100'000 * kMiB - 4 * kMiB);
    for (uint64_t piece = 0; piece < 4; ++piece) {
      wasted += TotalOf(readahead.OnRead({at + piece * kMiB, kMiB}).prefetch);
    }
  }
  EXPECT_LE(wasted, 150 * kMiB);
}

TEST(ReadaheadTest, StopsAtOnceWhenThePatternTurnsRandom) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t at = 0; at < 50 * kMiB; at += kMiB) readahead.OnRead({at, kMiB});
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(readahead.OnRead({(400 * kMiB + Scatter(i) % (500 * kMiB)) / 4096 * 4096, 4096}).prefetch.empty());
  }
}

// The places of a random reader, none beside another.
constexpr uint64_t kJumps[] = {100 * kMiB, 900 * kMiB, 500 * kMiB, 700 * kMiB, 300 * kMiB};

TEST(ReadaheadTest, WhatWasAskedForIsNotWantedAfterThreeJumps) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t at = 0; at < 50 * kMiB; at += kMiB) EXPECT_FALSE(readahead.OnRead({at, kMiB}).turned_random);
  std::vector<bool> turns;
  for (const uint64_t at : kJumps) turns.push_back(readahead.OnRead({at, 4096}).turned_random);
  EXPECT_EQ(turns, (std::vector<bool>{false, false, true, false, false}));  // There is nothing to drop any more.
}

TEST(ReadaheadTest, WhoGoesOnAfterATurnBeginsWithAFirstWindow) {
  Readahead readahead({.file_size = 1024 * kMiB});
  uint64_t asked_to = 0;
  for (uint64_t at = 0; at < 50 * kMiB; at += kMiB) {
    for (const ByteRange& range : readahead.OnRead({at, kMiB}).prefetch) asked_to = range.end();
  }
  EXPECT_GE(asked_to, 80 * kMiB);
  for (const uint64_t at : kJumps) readahead.OnRead({at, 4096});
  const auto again = readahead.OnRead({50 * kMiB, kMiB}).prefetch;
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again.front().offset, 51 * kMiB);
  EXPECT_EQ(TotalOf(again), 16 * kMiB);
}

// Several threads read one handle: one of them in order.
TEST(ReadaheadTest, AWalkBesideJumpsIsGivenUpOnceAtMost) {
  Readahead readahead({.file_size = 1024 * kMiB});
  int turns = 0;
  uint64_t asked = 0;
  for (uint64_t round = 0; round < 50; ++round) {
    const ReadaheadAdvice walk = readahead.OnRead({round * kMiB, kMiB});
    asked += TotalOf(walk.prefetch);
    for (uint64_t i = 0; i < 3; ++i) {
      const uint64_t at = (400 * kMiB + Scatter(3 * round + i) % (600 * kMiB)) / 4096 * 4096;
      turns += readahead.OnRead({at, 4096}).turned_random ? 1 : 0;
    }
  }
  EXPECT_LE(turns, 1);
  EXPECT_GE(asked, 50 * kMiB);
}

TEST(ReadaheadTest, AMisfitOrTwoAmongStridesAreNoTurn) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t row = 0; row < 5; ++row) {  // Of a tile: each row begins with a misfit.
    for (uint64_t i = 0; i < 10; ++i) {
      EXPECT_FALSE(readahead.OnRead({(row * 7 + i * 50) * kMiB, 64 << 10}).turned_random) << row << " " << i;
    }
  }
}

TEST(ReadaheadTest, AShortWalkIsGivenUpAfterThreeJumpsToo) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t at = 0; at < 5 * kMiB; at += kMiB) readahead.OnRead({at, kMiB});
  std::vector<bool> turns;
  for (const uint64_t at : kJumps) turns.push_back(readahead.OnRead({at, 4096}).turned_random);
  EXPECT_EQ(turns, (std::vector<bool>{false, false, true, false, false}));
}

TEST(ReadaheadTest, OtherPatternsAreNoJumps) {
  constexpr uint64_t kSize = 1024 * kMiB;
  Readahead strides({.file_size = kSize});
  for (uint64_t at = 0; at < kSize; at += 10 * kMiB) EXPECT_FALSE(strides.OnRead({at, 64 << 10}).turned_random) << at;
  // Long runs in one direction, each from another place.
  Readahead forward({.file_size = kSize});
  Readahead backward({.file_size = kSize});
  for (const uint64_t begin : kJumps) {
    for (uint64_t at = 0; at < 20 * kMiB; at += kMiB) {
      EXPECT_FALSE(forward.OnRead({begin + at, kMiB}).turned_random);
      EXPECT_FALSE(backward.OnRead({begin - at, kMiB}).turned_random);
    }
  }
}

TEST(ReadaheadTest, StreamsOfOneHandleAreToldApart) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t round = 0; round < 20; ++round) {
    for (uint64_t stream = 0; stream < 8; ++stream) {
      const auto ahead = readahead.OnRead({(stream * 117 + round) * kMiB, kMiB}).prefetch;
      EXPECT_TRUE(round != 1 || !ahead.empty()) << stream;
    }
  }
}

TEST(ReadaheadTest, ReadsThatOvertakeEachOtherAreOneStream) {
  Readahead readahead({.file_size = 1024 * kMiB});
  readahead.OnRead({0, kMiB});
  EXPECT_FALSE(readahead.OnRead({2 * kMiB, kMiB}).prefetch.empty());
  EXPECT_TRUE(readahead.OnRead({kMiB, kMiB}).prefetch.empty());
  const auto next = readahead.OnRead({3 * kMiB, kMiB}).prefetch;
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next.front().offset, 19 * kMiB);
}

TEST(ReadaheadTest, BackwardReadersAreFollowedToTheStartOfTheFile) {
  constexpr uint64_t kSize = 200 * kMiB + 4097;
  Readahead readahead({.file_size = kSize});
  uint64_t covered = 0;
  for (uint64_t end = kSize; end > 0; end -= std::min(end, kMiB)) {
    const uint64_t begin = end - std::min(end, kMiB);
    for (const ByteRange& range : readahead.OnRead({begin, end - begin}).prefetch) {
      if (covered != 0 && begin < kSize - 5 * kMiB) {
        EXPECT_EQ(range.end(), covered);
        EXPECT_EQ(range.offset % kBlock, 0U);
      }
      covered = range.offset;
    }
    EXPECT_TRUE(end >= kSize - 4 * kMiB || begin <= kMiB || covered < begin) << begin;
  }
  EXPECT_EQ(covered, 0U);
}

TEST(ReadaheadTest, StridesAreFollowedByTheirPieces) {
  Readahead readahead({.file_size = 1024 * kMiB});
  std::vector<ByteRange> asked;
  for (uint64_t i = 0; i < 40; ++i) {
    for (const ByteRange& range : readahead.OnRead({i * 10 * kMiB, 64 << 10}).prefetch) asked.push_back(range);
  }
  ASSERT_GE(asked.size(), 36U);
  for (size_t i = 0; i < asked.size(); ++i) EXPECT_EQ(asked[i], (ByteRange{(i + 4) * 10 * kMiB, 64 << 10}));
}

TEST(ReadaheadTest, AFirstReadAtTheEndBringsTheFooter) {
  Readahead readahead({.file_size = 100 * kMiB});
  const auto advice = readahead.OnRead({100 * kMiB - 8, 8});
  EXPECT_EQ(advice.fetch_through, 100 * kMiB);
  ASSERT_EQ(advice.prefetch.size(), 1U);
  EXPECT_EQ(advice.prefetch.front(), (ByteRange{100 * kMiB - 4 * kBlock, 3 * kBlock}));  // Up to the read's own block.
  EXPECT_TRUE(readahead.OnRead({50 * kMiB, 8}).prefetch.empty());
  EXPECT_TRUE(readahead.OnRead({100 * kMiB - 100, 8}).prefetch.empty());
}

TEST(ReadaheadTest, AFirstReadInsideTheFooterTakesTheRestAlong) {
  constexpr uint64_t kSize = 100 * kMiB + 17;
  constexpr uint64_t kBegin = kSize - 4 * kBlock;  // In the middle of a block.
  Readahead readahead({.file_size = kSize});
  const auto advice = readahead.OnRead({kBegin + 1, 4096});
  EXPECT_EQ(advice.fetch_through, kSize);
  EXPECT_TRUE(advice.prefetch.empty());  // Its own block begins before the footer does.
  EXPECT_TRUE(readahead.OnRead({kBegin + 4097, 4096}).prefetch.empty());  // It has all that follows.
}

TEST(ReadaheadTest, AFooterReadThatDoesNotWaitLeavesAllOfItToPrefetch) {
  Readahead readahead({.file_size = 100 * kMiB});
  const auto advice = readahead.OnRead({100 * kMiB - 8, 8}, {.waits = false});
  ASSERT_EQ(advice.prefetch.size(), 1U);
  EXPECT_EQ(advice.prefetch.front(), (ByteRange{100 * kMiB - 4 * kBlock, 4 * kBlock}));
}

TEST(ReadaheadTest, SmallFileIsFetchedWholeByItsFirstRead) {
  Readahead readahead({.file_size = kMiB});
  const ReadaheadAdvice advice = readahead.OnRead({0, 4096});
  EXPECT_EQ(advice.fetch_through, kMiB);
  EXPECT_TRUE(advice.prefetch.empty());
  EXPECT_TRUE(readahead.OnRead({4096, 4096}).prefetch.empty());
  Readahead larger({.file_size = kMiB + 1});
  EXPECT_EQ(larger.OnRead({0, 4096}).fetch_through, 4096U);
}

}  // namespace
}  // namespace s3overlay
