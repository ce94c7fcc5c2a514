// SPDX-License-Identifier: Apache-2.0
#include "remote/readahead.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

constexpr uint64_t kMiB = 1 << 20;

uint64_t TotalOf(const std::vector<ByteRange>& ranges) {
  uint64_t total = 0;
  for (const ByteRange& range : ranges) total += range.size;
  return total;
}

TEST(ReadaheadTest, OpensWideAtTheSecondReadInARow) {
  Readahead readahead({.file_size = 1024 * kMiB});
  EXPECT_TRUE(readahead.OnRead({0, kMiB}).prefetch.empty());
  const auto second = readahead.OnRead({kMiB, kMiB}).prefetch;
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(second.front().offset, 2 * kMiB);
  EXPECT_EQ(TotalOf(second), 8 * kMiB);
}

TEST(ReadaheadTest, CoversASequentialFileOnceAndKeepsToTheWindow) {
  constexpr uint64_t kSize = 200 * kMiB + 17;
  Readahead readahead({.file_size = kSize});
  uint64_t covered = 2 * kMiB;
  for (uint64_t at = 0; at < kSize; at += kMiB) {
    const ByteRange read = Intersect({at, kMiB}, {0, kSize});
    for (const ByteRange& range : readahead.OnRead(read).prefetch) {
      EXPECT_EQ(range.offset, covered);
      EXPECT_LE(range.size, 8 * kMiB);
      covered = range.end();
    }
    EXPECT_LE(covered, read.end() + 33 * kMiB);
    EXPECT_GE(covered, std::min(kSize, at == 0 ? 0 : read.end() + kMiB));
  }
  EXPECT_EQ(covered, kSize);
}

TEST(ReadaheadTest, RandomAndBackwardReadsPrefetchNothing) {
  Readahead readahead({.file_size = 1024 * kMiB});
  uint64_t at = 12345;
  for (int i = 0; i < 1000; ++i) {
    at = (at * 6364136223846793005U + 1442695040888963407U) % (1024 * kMiB - 4096);
    EXPECT_TRUE(readahead.OnRead({at / 4096 * 4096 * 5 % (1000 * kMiB), 4096}).prefetch.empty());
  }
  for (uint64_t back = 900; back > 800; --back) EXPECT_TRUE(readahead.OnRead({back * kMiB, kMiB}).prefetch.empty());
}

TEST(ReadaheadTest, StreamsOfOneHandleAreToldApart) {
  Readahead readahead({.file_size = 1024 * kMiB});
  for (uint64_t stream = 0; stream < 8; ++stream) {
    EXPECT_TRUE(readahead.OnRead({stream * 100 * kMiB, kMiB}).prefetch.empty());
  }
  for (uint64_t stream = 0; stream < 8; ++stream) {
    EXPECT_FALSE(readahead.OnRead({stream * 100 * kMiB + kMiB, kMiB}).prefetch.empty());
  }
}

TEST(ReadaheadTest, ReadsThatOvertakeEachOtherAreOneStream) {
  Readahead readahead({.file_size = 1024 * kMiB});
  readahead.OnRead({0, kMiB});
  EXPECT_FALSE(readahead.OnRead({2 * kMiB, kMiB}).prefetch.empty());
  EXPECT_TRUE(readahead.OnRead({kMiB, kMiB}).prefetch.empty());
  const auto next = readahead.OnRead({3 * kMiB, kMiB}).prefetch;
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next.front().offset, 11 * kMiB);
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
