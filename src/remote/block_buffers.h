// SPDX-License-Identifier: Apache-2.0
//
// BlockBuffers: memory for blocks, used again. A block comes and goes eight thousand times a gigabyte: fresh memory
// would cost a page fault for every 4 KiB of it, and leave holes in the heap that no budget counts.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "s3overlay/mutex.h"

namespace s3overlay {

// Thread-safe. Buffers may outlive it.
class BlockBuffers {
 public:
  using Buffer = std::vector<std::byte>;

  // Up to `max_spare` buffers of `block_size` bytes wait to be used again.
  BlockBuffers(size_t block_size, size_t max_spare)
      : block_size_(block_size), shelf_(std::make_shared<Shelf>(max_spare)) {}

  // Empty, with room for `bytes`. Shorter blocks (small files, ends of files) get just what they need.
  std::shared_ptr<Buffer> Take(size_t bytes) {
    if (bytes != block_size_) {
      auto exact = std::make_shared<Buffer>();
      exact->reserve(bytes);
      return exact;
    }
    std::unique_ptr<Buffer> buffer = TakeAny();
    buffer->clear();
    buffer->reserve(block_size_);
    return Lend(std::move(buffer));
  }

  // Of that size, for who overwrites all of it: what a used buffer still holds is left there, for clearing it would be
  // a pass over the memory more.
  std::shared_ptr<Buffer> TakeSized(size_t bytes) {
    if (bytes != block_size_) return std::make_shared<Buffer>(bytes);
    std::unique_ptr<Buffer> buffer = TakeAny();
    buffer->resize(block_size_);
    return Lend(std::move(buffer));
  }

 private:
  class Shelf {
   public:
    // With room for all of them: giving back runs in a deleter, which must not throw.
    explicit Shelf(size_t max_spare) : max_spare_(max_spare) { spare_.reserve(max_spare); }

    std::unique_ptr<Buffer> Take() S3OVERLAY_EXCLUDES(mu_) {
      MutexLock lock(mu_);
      if (spare_.empty()) return nullptr;
      std::unique_ptr<Buffer> buffer = std::move(spare_.back());
      spare_.pop_back();
      return buffer;
    }
    void GiveBack(std::unique_ptr<Buffer> buffer) S3OVERLAY_EXCLUDES(mu_) {
      MutexLock lock(mu_);
      if (spare_.size() < max_spare_) spare_.push_back(std::move(buffer));
    }

   private:
    const size_t max_spare_;
    Mutex mu_;
    std::vector<std::unique_ptr<Buffer>> spare_ S3OVERLAY_GUARDED_BY(mu_);
  };

  std::unique_ptr<Buffer> TakeAny() {
    std::unique_ptr<Buffer> buffer = shelf_->Take();
    return buffer != nullptr ? std::move(buffer) : std::make_unique<Buffer>();
  }
  std::shared_ptr<Buffer> Lend(std::unique_ptr<Buffer> buffer) {
    return {buffer.release(), [shelf = shelf_](Buffer* used) { shelf->GiveBack(std::unique_ptr<Buffer>(used)); }};
  }

  const size_t block_size_;
  const std::shared_ptr<Shelf> shelf_;
};

}  // namespace s3overlay
