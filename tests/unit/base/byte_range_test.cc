// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/byte_range.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

TEST(ByteRange, IntersectSharesTheMiddle) {
  EXPECT_EQ(Intersect({0, 10}, {5, 10}), (ByteRange{5, 5}));
  EXPECT_TRUE(Intersect({0, 5}, {5, 5}).empty());
  EXPECT_TRUE(Intersect({0, 5}, {100, 5}).empty());
}

TEST(ByteRange, CountsBlocksWithAShortLastOne) {
  EXPECT_EQ(BlockCount(0, 4), 0U);
  EXPECT_EQ(BlockCount(1, 4), 1U);
  EXPECT_EQ(BlockCount(4, 4), 1U);
  EXPECT_EQ(BlockCount(5, 4), 2U);
}

TEST(ByteRange, LastBlockEndsWithTheFile) {
  EXPECT_EQ(BlockRange(0, 4, 5), (ByteRange{0, 4}));
  EXPECT_EQ(BlockRange(1, 4, 5), (ByteRange{4, 1}));
  EXPECT_TRUE(BlockRange(2, 4, 5).empty());
}

TEST(ByteRange, BlocksOfARangeAreThoseItTouches) {
  EXPECT_EQ(BlocksOf({0, 4}, 4), (BlockSpan{0, 1}));
  EXPECT_EQ(BlocksOf({3, 2}, 4), (BlockSpan{0, 2}));
  EXPECT_EQ(BlocksOf({8, 0}, 4).count(), 0U);
}

}  // namespace
}  // namespace s3overlay
