// SPDX-License-Identifier: Apache-2.0
#include "remote/block_buffers.h"

#include <gtest/gtest.h>

#include <cstring>

namespace s3overlay {
namespace {

constexpr size_t kBlock = 4096;

TEST(BlockBuffersTest, BufferIsUsedAgain) {
  BlockBuffers buffers(kBlock, 1);
  auto buffer = buffers.Take(kBlock);
  const std::byte* const where = buffer.get();
  buffer.reset();
  buffer = buffers.Take(kBlock);
  EXPECT_EQ(buffer.get(), where);
  EXPECT_NE(buffers.Take(kBlock).get(), where);
}

TEST(BlockBuffersTest, ShortBufferTakesNoBlock) {
  BlockBuffers buffers(kBlock, 1);
  auto block = buffers.Take(kBlock);
  const std::byte* const where = block.get();
  block.reset();
  const auto brief = buffers.Take(10);
  std::memset(brief.get(), 1, 10);
  EXPECT_EQ(buffers.Take(kBlock).get(), where);
}

TEST(BlockBuffersTest, BuffersMayOutliveTheirMaker) {
  auto buffers = std::make_unique<BlockBuffers>(kBlock, 1);
  const auto buffer = buffers->Take(kBlock);
  buffers.reset();
  std::memset(buffer.get(), 1, kBlock);
  EXPECT_EQ(buffer[kBlock - 1], std::byte{1});
}

}  // namespace
}  // namespace s3overlay
