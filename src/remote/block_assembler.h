// SPDX-License-Identifier: Apache-2.0
//
// BlockAssembler: turns the bytes of one GET, in whatever pieces they come, into whole blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "remote/block_buffers.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/result.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay {

// Not thread-safe.
class BlockAssembler {
 public:
  using OnBlock = std::function<void(uint64_t index, SharedBytes block)>;

  // `range` starts at a block's start and ends at a block's or the file's end.
  BlockAssembler(ByteRange range, uint64_t block_size, BlockBuffers& buffers, OnBlock on_block)
      : range_(range),
        block_size_(block_size),
        buffers_(buffers),
        on_block_(std::move(on_block)),
        position_(range.offset) {}

  // kBadResponse for bytes that are not the next ones.
  Result<void> Add(uint64_t offset, std::span<const std::byte> bytes) {
    if (offset != position_ || bytes.size() > range_.end() - position_) {
      return Error{ErrorCode::kBadResponse, "the store delivered bytes out of order"};
    }
    while (!bytes.empty()) bytes = bytes.subspan(Take(bytes));
    return {};
  }

  uint64_t position() const { return position_; }
  // Bytes that have come of a block that is not whole.
  uint64_t pending() const { return block_ ? position_ % block_size_ : 0; }
  bool is_complete() const { return position_ == range_.end(); }

 private:
  size_t Take(std::span<const std::byte> bytes) {
    const uint64_t index = position_ / block_size_;
    const uint64_t begin = index * block_size_;
    const uint64_t end = std::min((index + 1) * block_size_, range_.end());
    if (!block_) block_ = buffers_.Take(end - begin);
    const size_t taken = std::min<uint64_t>(bytes.size(), end - position_);
    std::memcpy(block_.get() + (position_ - begin), bytes.data(), taken);
    position_ += taken;
    if (position_ == end) on_block_(index, {{block_.get(), end - begin}, std::exchange(block_, nullptr)});
    return taken;
  }

  const ByteRange range_;
  const uint64_t block_size_;
  BlockBuffers& buffers_;
  const OnBlock on_block_;
  uint64_t position_;
  std::shared_ptr<std::byte[]> block_;  // Filled up to the position.
};

}  // namespace s3overlay
