// SPDX-License-Identifier: Apache-2.0
#include "remote/block_slabs.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <new>

namespace s3overlay {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

std::byte* Map(size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

void Unmap(std::byte* begin, std::byte* end) {
  if (begin != end) ::munmap(begin, static_cast<size_t>(end - begin));
}

// Only a whole huge page at its own boundary can be one; what was mapped to find that boundary goes again.
std::byte* MapAligned(size_t bytes) {
  std::byte* const wide = Map(bytes + kHugePage);
  const size_t skipped = RoundUp(reinterpret_cast<uintptr_t>(wide), kHugePage) - reinterpret_cast<uintptr_t>(wide);
  std::byte* const begin = wide + skipped;
  Unmap(wide, begin);
  Unmap(begin + bytes, wide + bytes + kHugePage);
  ::madvise(begin, bytes, MADV_HUGEPAGE);  // Where it is refused, the pages are small ones.
  return begin;
}

}  // namespace

BlockSlabs::BlockSlabs(size_t block_size, size_t max_spare)
    : block_size_(block_size),
      blocks_of_slab_(std::max<size_t>(1, kHugePage / block_size)),
      slab_bytes_(RoundUp(blocks_of_slab_ * block_size, kPage)),
      max_spare_(max_spare) {
  spare_.reserve(max_spare);
}

BlockSlabs::~BlockSlabs() {
  for (const auto& [begin, slab] : slabs_) Unmap(begin, begin + slab_bytes_);
}

std::byte* BlockSlabs::Take() {
  MutexLock lock(mu_);
  if (spare_.empty()) return TakeFromSlab();
  std::byte* const block = spare_.back();
  spare_.pop_back();
  return block;
}

std::byte* BlockSlabs::TakeFromSlab() {
  if (with_room_.empty()) AddSlab();
  const auto lowest = with_room_.begin();
  std::vector<std::byte*>& free = slabs_.find(*lowest)->second.free;
  std::byte* const block = free.back();
  free.pop_back();
  if (free.empty()) with_room_.erase(lowest);
  return block;
}

void BlockSlabs::AddSlab() {
  Slab slab;
  slab.free.reserve(blocks_of_slab_);
  std::byte* const begin = MapAligned(slab_bytes_);
  for (size_t i = blocks_of_slab_; i > 0; --i) slab.free.push_back(begin + (i - 1) * block_size_);
  slabs_.emplace(begin, std::move(slab));
  with_room_.insert(begin);
}

void BlockSlabs::GiveBack(std::byte* block) noexcept {
  MutexLock lock(mu_);
  if (spare_.size() < max_spare_) {
    spare_.push_back(block);
  } else {
    GiveBackToSlab(block);
  }
}

void BlockSlabs::GiveBackToSlab(std::byte* block) {
  const auto slab = std::prev(slabs_.upper_bound(block));
  slab->second.free.push_back(block);
  if (slab->second.free.size() < blocks_of_slab_) {
    with_room_.insert(slab->first);
    return;
  }
  with_room_.erase(slab->first);
  Unmap(slab->first, slab->first + slab_bytes_);
  slabs_.erase(slab);
}

size_t BlockSlabs::mapped_bytes() const {
  MutexLock lock(mu_);
  return slabs_.size() * slab_bytes_;
}

}  // namespace s3overlay
