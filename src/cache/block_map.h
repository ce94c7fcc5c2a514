// SPDX-License-Identifier: Apache-2.0
//
// BlockMap: which blocks of one object the cache holds, with their checksums. Kept by extents of 8 MiB, so that a few
// blocks of a huge object cost little; an extent is also one row of the index. A value, not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "s3overlay/byte_range.h"

namespace s3overlay {

// What space a block takes on the medium: file systems allocate pages.
inline uint64_t RoundUpToPage(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

struct BlockSlot {
  uint64_t checksum = 0;    // XXH3-64.
  uint32_t checked_in = 0;  // See BlockMap::IsChecked.
  uint16_t pins = 0;        // Reads under way; such a block is not punched.
  bool present = false;
};

class BlockMap {
 public:
  BlockMap(uint64_t file_size, uint64_t block_size);

  uint64_t block_count() const { return block_count_; }
  uint64_t present_count() const { return present_count_; }
  uint64_t present_bytes() const { return present_bytes_; }
  bool is_full() const { return present_count_ == block_count_; }
  ByteRange RangeOf(uint64_t index) const { return BlockRange(index, block_size_, file_size_); }

  // Null unless the block is present.
  BlockSlot* Find(uint64_t index);
  const BlockSlot* Find(uint64_t index) const;

  // Present from now on, and not checked: whoever else writes to the file may have done so beside us. `index` lies
  // inside the object.
  void Set(uint64_t index, uint64_t checksum);
  void Drop(uint64_t index);

  // Held to its checksum since the file was last changed.
  bool IsChecked(const BlockSlot& slot) const { return slot.checked_in == change_; }
  void SetChecked(BlockSlot& slot) const { slot.checked_in = change_; }

  // Every block has to be held to its checksum again.
  void Doubt() { ++change_; }

  // A present block that is being read. Its pin may outlive its presence: it says that the bytes may not be punched.
  void Pin(uint64_t index) { ++SlotAt(index)->pins; }
  void Unpin(uint64_t index) { --SlotAt(index)->pins; }
  bool IsPinned(uint64_t first, uint64_t last) const;  // Any in [first, last).

  // The present blocks in [first, last).
  std::vector<uint64_t> PresentIn(uint64_t first, uint64_t last) const;

  uint64_t ExtentOf(uint64_t index) const { return index / blocks_per_extent_; }

  // An extent as the index keeps it: a bitmap, then 8 bytes for each block, little-endian. Empty where no block is
  // present.
  std::vector<std::byte> EncodeExtent(uint64_t extent) const;

  // Takes an extent of the index in, unchecked. False, and nothing changes, where it does not fit this object.
  [[nodiscard]] bool DecodeExtent(uint64_t extent, std::span<const std::byte> blob);

 private:
  BlockSlot* SlotAt(uint64_t index);
  const BlockSlot* SlotAt(uint64_t index) const { return const_cast<BlockMap*>(this)->SlotAt(index); }
  uint64_t BlocksInExtent(uint64_t extent) const;

  const uint64_t file_size_;
  const uint64_t block_size_;
  const uint64_t block_count_;
  const uint64_t blocks_per_extent_;
  std::map<uint64_t, std::vector<BlockSlot>> extents_;
  uint64_t present_count_ = 0;
  uint64_t present_bytes_ = 0;
  uint32_t change_ = 1;
};

}  // namespace s3overlay
