// SPDX-License-Identifier: Apache-2.0
//
// ByteRange: the bytes [offset, offset + size) of a file, and how they fall into blocks.
#pragma once

#include <algorithm>
#include <cstdint>

namespace s3overlay {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;

  uint64_t end() const { return offset + size; }
  bool empty() const { return size == 0; }
  bool Contains(const ByteRange& other) const { return other.offset >= offset && other.end() <= end(); }

  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// The bytes that two ranges share; empty (at the later start) where they share none.
inline ByteRange Intersect(const ByteRange& a, const ByteRange& b) {
  const uint64_t begin = std::max(a.offset, b.offset);
  const uint64_t end = std::min(a.end(), b.end());
  return {begin, end > begin ? end - begin : 0};
}

// Number of blocks of `block_size` bytes in a file of `file_size` bytes; the last one may be short.
inline uint64_t BlockCount(uint64_t file_size, uint64_t block_size) {
  return file_size / block_size + (file_size % block_size != 0 ? 1 : 0);
}

// The bytes of block `index` in a file of `file_size` bytes; empty past its end.
inline ByteRange BlockRange(uint64_t index, uint64_t block_size, uint64_t file_size) {
  const uint64_t offset = std::min(index * block_size, file_size);
  return {offset, std::min(block_size, file_size - offset)};
}

// The blocks [first, last) that `range` touches.
struct BlockSpan {
  uint64_t first = 0;
  uint64_t last = 0;

  uint64_t count() const { return last - first; }
  friend bool operator==(const BlockSpan&, const BlockSpan&) = default;
};

inline BlockSpan BlocksOf(const ByteRange& range, uint64_t block_size) {
  const uint64_t first = range.offset / block_size;
  return {first, range.empty() ? first : (range.end() - 1) / block_size + 1};
}

}  // namespace s3overlay
