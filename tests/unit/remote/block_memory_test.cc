// SPDX-License-Identifier: Apache-2.0
#include "remote/block_memory.h"

#include <gtest/gtest.h>

#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

class BlockMemoryTest : public ::testing::Test {
 protected:
  // A file of that many bytes, fetched on demand or ahead for `owner`.
  bool Keep(uint64_t index, size_t size, const void* owner = nullptr) {
    const bool is_prefetch = owner != nullptr;
    if (!(is_prefetch ? memory_.ReservePrefetch(size) : memory_.ReserveDemand(size))) return false;
    memory_.Keep({object_, index}, ShareBytes(std::vector<std::byte>(size)),
                 {.is_prefetch = is_prefetch, .is_unread = is_prefetch, .owner = owner});
    return true;
  }

  static constexpr uint64_t kLimit = 100 << 10;
  static constexpr size_t kSmall = 10;
  testing::MemoryObjectStore store_;
  const PinnedObjectPtr object_ = std::make_shared<PinnedObject>(store_.Put("b", "k", "bytes"), store_);
  BlockMemory memory_{kLimit, kLimit};
};

TEST_F(BlockMemoryTest, SmallBlocksCostWhatTheirPlaceDoes) {
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Keep(i, kSmall));
    EXPECT_LE(memory_.used(), kLimit);
  }
  uint64_t kept = 0;
  for (uint64_t i = 0; i < 1000; ++i) kept += memory_.Contains({object_, i}) ? 1 : 0;
  EXPECT_EQ(kept, kLimit / (kSmall + BlockMemory::kOverhead));
  EXPECT_TRUE(memory_.Contains({object_, 999}));
}

TEST_F(BlockMemoryTest, SmallBlocksFetchedAheadKeepToTheirShare) {
  uint64_t kept = 0;
  while (kept < 1000 && Keep(kept, kSmall, this)) ++kept;
  EXPECT_LE(memory_.used(), memory_.prefetch_limit() + BlockMemory::kOverhead);
  EXPECT_GE(kept, 70U);
  EXPECT_TRUE(memory_.Take({object_, 0}).was_unread);
  EXPECT_TRUE(Keep(kept, kSmall, this));
  memory_.Disown(this);
  while (kept-- > 0) EXPECT_TRUE(Keep(2000 + kept, kSmall));
  EXPECT_LE(memory_.used(), kLimit);
}

TEST_F(BlockMemoryTest, WhatIsNotWantedAnyMoreGoesBeforeWhatWasRead) {
  constexpr size_t kSize = 20 << 10;
  ASSERT_TRUE(Keep(0, kSize));
  ASSERT_TRUE(Keep(1, kSize, this));
  memory_.Disown(this);
  for (uint64_t i = 2; memory_.Contains({object_, 1}); ++i) ASSERT_TRUE(Keep(i, kSize));
  EXPECT_TRUE(memory_.Contains({object_, 0}));
}

TEST_F(BlockMemoryTest, WastedAreTheBytesThatNobodyRead) {
  ASSERT_TRUE(Keep(0, 4096, this));
  ASSERT_TRUE(Keep(1, kSmall, this));
  ASSERT_TRUE(Keep(2, 300, this));
  ASSERT_TRUE(Keep(3, 5000));  // On demand.
  EXPECT_TRUE(memory_.Take({object_, 0}).was_unread);
  EXPECT_EQ(memory_.TakeWasted(), 0U);
  ASSERT_TRUE(Keep(2, 300, this));  // Fetched twice.
  EXPECT_EQ(memory_.TakeWasted(), 300U);
  memory_.Disown(this);
  EXPECT_EQ(memory_.TakeWasted(), 0U) << "somebody may still come for it";
  EXPECT_TRUE(memory_.ReserveDemand(kLimit));
  EXPECT_EQ(memory_.TakeWasted(), kSmall + 300U);
}

TEST_F(BlockMemoryTest, WhatIsKeptGivesAllOfItBack) {
  for (uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(Keep(i, kSmall, i < 5 ? this : nullptr));
  EXPECT_EQ(memory_.used(), 10 * (kSmall + BlockMemory::kOverhead));
  EXPECT_TRUE(memory_.ReserveDemand(kLimit));
  EXPECT_EQ(memory_.used(), kLimit);
  memory_.Release(kLimit, false);
  EXPECT_EQ(memory_.used(), 0U);
}

}  // namespace
}  // namespace s3overlay
