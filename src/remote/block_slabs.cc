// SPDX-License-Identifier: Apache-2.0
#include "remote/block_slabs.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <new>
#include <utility>

namespace s3overlay {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t PageSize() {
  static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

void UnmapBetween(std::byte* begin, std::byte* end) {
  if (begin != end) ::munmap(begin, static_cast<size_t>(end - begin));
}

}  // namespace

void BlockSlabs::Unmap::operator()(std::byte* memory) const { UnmapBetween(memory, memory + bytes); }

// Only a whole huge page at its own boundary can be one; what was mapped to find that boundary goes again.
BlockSlabs::Memory BlockSlabs::MapAligned(size_t bytes) {
  const size_t wide_bytes = bytes + kHugePage;
  void* const memory = ::mmap(nullptr, wide_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* const wide = static_cast<std::byte*>(memory);
  const auto address = reinterpret_cast<uintptr_t>(wide);
  std::byte* const begin = wide + (RoundUp(address, kHugePage) - address);
  UnmapBetween(wide, begin);
  UnmapBetween(begin + bytes, wide + wide_bytes);
  ::madvise(begin, bytes, MADV_HUGEPAGE);  // Where it is refused, the pages are small ones.
  return Memory(begin, Unmap{bytes});
}

BlockSlabs::BlockSlabs(size_t block_size, size_t max_spare)
    : block_size_(block_size),
      blocks_of_slab_(std::max<size_t>(1, kHugePage / block_size)),
      slab_bytes_(RoundUp(blocks_of_slab_ * block_size, PageSize())),
      max_spare_(max_spare) {
  spare_.reserve(max_spare);
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
  Slab& slab = slabs_.find(*with_room_.begin())->second;
  std::byte* const block = slab.free.back();
  slab.free.pop_back();
  if (slab.free.empty()) slab.place = with_room_.extract(with_room_.begin());
  return block;
}

void BlockSlabs::AddSlab() {
  Slab slab{.memory = MapAligned(slab_bytes_), .free = {}, .place = {}, .is_of_small_pages = false};
  std::byte* const begin = slab.memory.get();
  slab.free.reserve(blocks_of_slab_);
  for (size_t i = blocks_of_slab_; i > 0; --i) slab.free.push_back(begin + (i - 1) * block_size_);
  WithRoom place{begin};
  slabs_.emplace(begin, std::move(slab));
  with_room_.merge(place);
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
  const auto found = std::prev(slabs_.upper_bound(block));
  Slab& slab = found->second;
  if (slab.free.empty() && slab.place) with_room_.insert(std::move(slab.place));
  slab.free.push_back(block);
  if (slab.free.size() == blocks_of_slab_) {
    with_room_.erase(found->first);
    slabs_.erase(found);
  } else if (block_size_ % PageSize() == 0) {
    // Or the kernel would in time make one huge page of it again, the free blocks' memory with it.
    if (!std::exchange(slab.is_of_small_pages, true)) ::madvise(found->first, slab_bytes_, MADV_NOHUGEPAGE);
    ::madvise(block, block_size_, MADV_DONTNEED);
  }
}

size_t BlockSlabs::mapped_bytes() const {
  MutexLock lock(mu_);
  return slabs_.size() * slab_bytes_;
}

}  // namespace s3overlay
