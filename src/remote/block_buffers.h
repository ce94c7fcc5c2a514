// SPDX-License-Identifier: Apache-2.0
//
// BlockBuffers: memory to put the bytes of a block into, whoever keeps them then and for however long.
#pragma once

#include <cstddef>
#include <memory>

#include "remote/block_slabs.h"

namespace s3overlay {

// Thread-safe. Buffers may outlive it.
class BlockBuffers {
 public:
  // Up to `max_spare` buffers of `block_size` bytes wait to be used again.
  BlockBuffers(size_t block_size, size_t max_spare) : slabs_(std::make_shared<BlockSlabs>(block_size, max_spare)) {}

  // For who writes all of it: what it holds is not cleared. Shorter blocks (small files, ends of files, parts of a
  // block) get just what they need.
  std::shared_ptr<std::byte[]> Take(size_t bytes) {
    if (bytes != slabs_->block_size()) return std::make_shared_for_overwrite<std::byte[]>(bytes);
    return {slabs_->Take(), [slabs = slabs_](std::byte* block) { slabs->GiveBack(block); }};
  }

 private:
  const std::shared_ptr<BlockSlabs> slabs_;
};

}  // namespace s3overlay
