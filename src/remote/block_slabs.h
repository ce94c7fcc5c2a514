// SPDX-License-Identifier: Apache-2.0
//
// BlockSlabs: where blocks lie in memory. A block comes and goes eight thousand times a gigabyte: from malloc each
// would cost a page fault for every 4 KiB of it, which was more than half of what a cold read costs. Slabs are of 2
// MiB, where blocks fit into one, and the kernel is asked to back them by one huge page each.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "s3overlay/mutex.h"

namespace s3overlay {

// Thread-safe. All blocks have come back when it goes.
class BlockSlabs {
 public:
  // Up to `max_spare` blocks keep their memory when they come back, to be used again as they are. That of others goes
  // to the system: so what is resident are the blocks that were taken and those.
  BlockSlabs(size_t block_size, size_t max_spare);
  BlockSlabs(const BlockSlabs&) = delete;
  BlockSlabs& operator=(const BlockSlabs&) = delete;

  size_t block_size() const { return block_size_; }

  // Memory for one block, with whatever it held before. Throws where there is none.
  std::byte* Take() S3OVERLAY_EXCLUDES(mu_);
  void GiveBack(std::byte* block) noexcept S3OVERLAY_EXCLUDES(mu_);

  size_t mapped_bytes() const S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(std::byte* memory) const;
  };
  using Memory = std::unique_ptr<std::byte, Unmap>;
  using WithRoom = std::set<std::byte*>;
  struct Slab {
    Memory memory;
    std::vector<std::byte*> free;  // With room for all, as giving back must not fail.
    WithRoom::node_type place;     // For the same reason; in with_room_ while there are free blocks.
    bool is_of_small_pages;        // Some of its memory went back to the system.
  };

  static Memory MapAligned(size_t bytes);
  std::byte* TakeFromSlab() S3OVERLAY_REQUIRES(mu_);
  void AddSlab() S3OVERLAY_REQUIRES(mu_);
  void GiveBackToSlab(std::byte* block) S3OVERLAY_REQUIRES(mu_);

  const size_t block_size_;
  const size_t blocks_of_slab_;
  const size_t slab_bytes_;
  const size_t max_spare_;

  mutable Mutex mu_;
  std::vector<std::byte*> spare_ S3OVERLAY_GUARDED_BY(mu_);  // The last given back is the first used again.
  std::map<std::byte*, Slab> slabs_ S3OVERLAY_GUARDED_BY(mu_);
  WithRoom with_room_ S3OVERLAY_GUARDED_BY(mu_);  // Slabs; the lowest is used first, so that the others empty.
};

}  // namespace s3overlay
