// SPDX-License-Identifier: Apache-2.0
#include "remote/block_slabs.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

namespace s3overlay {
namespace {

constexpr size_t kBlock = 128 << 10;
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kBlocksOfSlab = kHugePage / kBlock;

std::vector<std::byte*> TakeMany(BlockSlabs& slabs, size_t count) {
  std::vector<std::byte*> blocks;
  for (size_t i = 0; i < count; ++i) blocks.push_back(slabs.Take());
  return blocks;
}

void GiveBackAll(BlockSlabs& slabs, const std::vector<std::byte*>& blocks) {
  for (std::byte* block : blocks) slabs.GiveBack(block);
}

TEST(BlockSlabsTest, BlocksDoNotOverlap) {
  BlockSlabs slabs(kBlock, 0);
  const std::vector<std::byte*> blocks = TakeMany(slabs, 2 * kBlocksOfSlab + 1);
  for (size_t i = 0; i < blocks.size(); ++i) std::memset(blocks[i], static_cast<int>(i), kBlock);
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i][0], static_cast<std::byte>(i));
    EXPECT_EQ(blocks[i][kBlock - 1], static_cast<std::byte>(i));
  }
  EXPECT_EQ(slabs.mapped_bytes(), 3 * kHugePage);
  GiveBackAll(slabs, blocks);
}

TEST(BlockSlabsTest, SlabsBeginWhereHugePagesDo) {
  BlockSlabs slabs(kBlock, 0);
  std::byte* const first = slabs.Take();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % kHugePage, 0U);
  slabs.GiveBack(first);
}

TEST(BlockSlabsTest, TheLastGivenBackIsTheFirstUsedAgain) {
  BlockSlabs slabs(kBlock, 2);
  const std::vector<std::byte*> blocks = TakeMany(slabs, 2);
  GiveBackAll(slabs, blocks);
  EXPECT_EQ(slabs.Take(), blocks[1]);
  EXPECT_EQ(slabs.Take(), blocks[0]);
  GiveBackAll(slabs, blocks);
}

TEST(BlockSlabsTest, AFreeSlabGoesBackToTheSystem) {
  BlockSlabs slabs(kBlock, 1);
  const std::vector<std::byte*> blocks = TakeMany(slabs, 3 * kBlocksOfSlab);
  GiveBackAll(slabs, blocks);
  // The one that waits to be used again keeps its own.
  EXPECT_EQ(slabs.mapped_bytes(), kHugePage);
}

size_t CountResidentPages(const std::byte* block) {
  std::vector<unsigned char> pages(kBlock / 4096);
  EXPECT_EQ(::mincore(const_cast<std::byte*>(block), kBlock, pages.data()), 0);
  return static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

// One block that stays keeps its slab, and not the memory of the others.
TEST(BlockSlabsTest, MemoryOfAFreeBlockGoesBackToTheSystem) {
  BlockSlabs slabs(kBlock, 1);
  const std::vector<std::byte*> blocks = TakeMany(slabs, kBlocksOfSlab);
  for (std::byte* block : blocks) std::memset(block, 1, kBlock);
  for (size_t i = 1; i < blocks.size(); ++i) slabs.GiveBack(blocks[i]);
  size_t resident = 0;
  for (const std::byte* block : blocks) resident += CountResidentPages(block);
  EXPECT_EQ(resident, 2 * kBlock / 4096) << "the one that was taken, and the spare one";
  slabs.GiveBack(blocks[0]);
}

TEST(BlockSlabsTest, HolesAreFilledFirst) {
  BlockSlabs slabs(kBlock, 0);
  std::vector<std::byte*> blocks = TakeMany(slabs, 4 * kBlocksOfSlab);
  std::vector<std::byte*> kept;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 2 == 0) {
      slabs.GiveBack(blocks[i]);
    } else {
      kept.push_back(blocks[i]);
    }
  }
  const std::vector<std::byte*> again = TakeMany(slabs, 2 * kBlocksOfSlab);
  EXPECT_EQ(slabs.mapped_bytes(), 4 * kHugePage);
  kept.insert(kept.end(), again.begin(), again.end());
  EXPECT_EQ(std::set<std::byte*>(kept.begin(), kept.end()).size(), kept.size());
  GiveBackAll(slabs, kept);
  EXPECT_EQ(slabs.mapped_bytes(), 0U);
}

TEST(BlockSlabsTest, ABlockLargerThanAHugePageHasASlabOfItsOwn) {
  constexpr size_t kLarge = (5 << 20) + 4096;
  BlockSlabs slabs(kLarge, 0);
  const std::vector<std::byte*> blocks = TakeMany(slabs, 2);
  for (std::byte* block : blocks) std::memset(block, 1, kLarge);
  EXPECT_EQ(slabs.mapped_bytes(), 2 * kLarge);
  GiveBackAll(slabs, blocks);
  EXPECT_EQ(slabs.mapped_bytes(), 0U);
}

}  // namespace
}  // namespace s3overlay
