// SPDX-License-Identifier: Apache-2.0
#include "cache/block_map.h"

#include <algorithm>

namespace s3overlay {
namespace {

constexpr uint64_t kExtentBytes = uint64_t{8} << 20;

}  // namespace

BlockMap::BlockMap(uint64_t file_size, uint64_t block_size)
    : file_size_(file_size),
      block_size_(block_size),
      block_count_(BlockCount(file_size, block_size)),
      blocks_per_extent_(std::max<uint64_t>(1, kExtentBytes / block_size)) {}

BlockSlot* BlockMap::SlotAt(uint64_t index) {
  const auto found = extents_.find(ExtentOf(index));
  if (index >= block_count_ || found == extents_.end()) return nullptr;
  return &found->second[index % blocks_per_extent_];
}

BlockSlot* BlockMap::Find(uint64_t index) {
  BlockSlot* slot = SlotAt(index);
  return slot != nullptr && slot->present ? slot : nullptr;
}

const BlockSlot* BlockMap::Find(uint64_t index) const { return const_cast<BlockMap*>(this)->Find(index); }

void BlockMap::Set(uint64_t index, uint64_t checksum) {
  const uint64_t extent = ExtentOf(index);
  std::vector<BlockSlot>& slots = extents_[extent];
  slots.resize(BlocksInExtent(extent));
  BlockSlot& slot = slots[index % blocks_per_extent_];
  if (!slot.present) {
    ++present_count_;
    present_bytes_ += RangeOf(index).size;
  }
  slot.checksum = checksum;
  slot.present = true;
  slot.checked_in = 0;
}

void BlockMap::Drop(uint64_t index) {
  BlockSlot* slot = Find(index);
  if (slot == nullptr) return;
  // The pins stay: a reader that is still at it gives its own back.
  slot->present = false;
  --present_count_;
  present_bytes_ -= RangeOf(index).size;
  const auto extent = extents_.find(ExtentOf(index));
  const auto in_use = [](const BlockSlot& each) { return each.present || each.pins > 0; };
  if (std::none_of(extent->second.begin(), extent->second.end(), in_use)) extents_.erase(extent);
}

bool BlockMap::IsPinned(uint64_t first, uint64_t last) const {
  for (uint64_t index = first; index < std::min(last, block_count_); ++index) {
    const BlockSlot* slot = SlotAt(index);
    if (slot != nullptr && slot->pins > 0) return true;
  }
  return false;
}

std::vector<uint64_t> BlockMap::PresentIn(uint64_t first, uint64_t last) const {
  std::vector<uint64_t> indices;
  for (auto extent = extents_.lower_bound(ExtentOf(first)); extent != extents_.end(); ++extent) {
    const uint64_t start = extent->first * blocks_per_extent_;
    if (start >= last) break;
    for (uint64_t i = 0; i < extent->second.size(); ++i) {
      if (extent->second[i].present && start + i >= first && start + i < last) indices.push_back(start + i);
    }
  }
  return indices;
}

std::vector<std::byte> BlockMap::EncodeExtent(uint64_t extent) const {
  const auto found = extents_.find(extent);
  if (found == extents_.end()) return {};
  const std::vector<BlockSlot>& slots = found->second;
  const size_t bitmap_size = (slots.size() + 7) / 8;
  std::vector<std::byte> blob(bitmap_size + slots.size() * 8);
  bool any = false;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (!slots[i].present) continue;
    any = true;
    blob[i / 8] |= std::byte(1U << (i % 8));
    for (size_t b = 0; b < 8; ++b) blob[bitmap_size + i * 8 + b] = std::byte(slots[i].checksum >> (8 * b) & 0xff);
  }
  if (!any) blob.clear();
  return blob;
}

bool BlockMap::DecodeExtent(uint64_t extent, std::span<const std::byte> blob) {
  if (extent > ExtentOf(block_count_) || extents_.contains(extent)) return false;
  const uint64_t count = BlocksInExtent(extent);
  const size_t bitmap_size = (count + 7) / 8;
  if (count == 0 || blob.size() != bitmap_size + count * 8) return false;
  for (uint64_t i = 0; i < count; ++i) {
    if ((blob[i / 8] & std::byte(1U << (i % 8))) == std::byte{0}) continue;
    uint64_t checksum = 0;
    for (size_t b = 0; b < 8; ++b) checksum |= std::to_integer<uint64_t>(blob[bitmap_size + i * 8 + b]) << (8 * b);
    const uint64_t index = extent * blocks_per_extent_ + i;
    Set(index, checksum);
  }
  return true;
}

uint64_t BlockMap::BlocksInExtent(uint64_t extent) const {
  const uint64_t start = extent * blocks_per_extent_;
  return start >= block_count_ ? 0 : std::min(blocks_per_extent_, block_count_ - start);
}

}  // namespace s3overlay
