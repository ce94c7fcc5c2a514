// SPDX-License-Identifier: Apache-2.0
#include "remote/block_buffers.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

constexpr size_t kBlock = 4096;
constexpr std::byte kMark{7};

TEST(BlockBuffersTest, BufferIsUsedAgainAndEmpty) {
  BlockBuffers buffers(kBlock, 1);
  auto buffer = buffers.Take(kBlock);
  buffer->assign(kBlock, kMark);
  const std::byte* const where = buffer->data();
  buffer.reset();
  buffer = buffers.Take(kBlock);
  EXPECT_EQ(buffer->data(), where);
  EXPECT_TRUE(buffer->empty());
  EXPECT_NE(buffers.Take(kBlock)->data(), where);
}

TEST(BlockBuffersTest, SizedBufferIsNotWrittenOver) {
  BlockBuffers buffers(kBlock, 1);
  auto buffer = buffers.Take(kBlock);
  buffer->assign(kBlock, kMark);
  buffer.reset();
  buffer = buffers.TakeSized(kBlock);
  ASSERT_EQ(buffer->size(), kBlock);
  EXPECT_EQ(buffer->front(), kMark);
  EXPECT_EQ(buffers.TakeSized(kBlock)->size(), kBlock);
  EXPECT_EQ(buffers.TakeSized(10)->size(), 10U);
}

TEST(BlockBuffersTest, BuffersMayOutliveTheirShelf) {
  auto buffers = std::make_unique<BlockBuffers>(kBlock, 1);
  const auto buffer = buffers->TakeSized(kBlock);
  buffers.reset();
  EXPECT_EQ(buffer->size(), kBlock);
}

}  // namespace
}  // namespace s3overlay
