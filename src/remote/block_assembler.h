// SPDX-License-Identifier: Apache-2.0
//
// BlockAssembler: turns the bytes of one GET, in whatever pieces they come, into whole blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "remote/block_buffers.h"
#include "remote/block_memory.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Not thread-safe.
class BlockAssembler {
 public:
  using OnBlock = std::function<void(uint64_t index, BlockPtr block)>;

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
  bool is_complete() const { return position_ == range_.end(); }

 private:
  size_t Take(std::span<const std::byte> bytes) {
    const uint64_t index = position_ / block_size_;
    const uint64_t end = std::min((index + 1) * block_size_, range_.end());
    if (!block_) block_ = buffers_.Take(end - position_);
    const size_t taken = std::min<uint64_t>(bytes.size(), end - position_);
    block_->insert(block_->end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
    position_ += taken;
    if (position_ == end) on_block_(index, std::exchange(block_, nullptr));
    return taken;
  }

  const ByteRange range_;
  const uint64_t block_size_;
  BlockBuffers& buffers_;
  const OnBlock on_block_;
  uint64_t position_;
  std::shared_ptr<std::vector<std::byte>> block_;
};

}  // namespace s3overlay
