// SPDX-License-Identifier: Apache-2.0
//
// ReadStrides: a reader that takes pieces of one size at one distance (columns of records, every tenth frame), and
// where it will read next.
#pragma once

#include <cstdint>
#include <vector>

#include "s3overlay/byte_range.h"

namespace s3overlay {

// Not thread-safe. A pure state machine.
class ReadStrides {
 public:
  explicit ReadStrides(uint64_t file_size) : file_size_(file_size) {}

  // The reads to come that have not been answered before, nearest first; told of every read that continues no stream.
  std::vector<ByteRange> OnRead(ByteRange read);

  // Whether the last read was one of a pattern.
  bool follows() const { return repeats_ >= kRepeatsOfPattern; }

 private:
  static constexpr int kRepeatsOfPattern = 3;

  bool Repeats(ByteRange read);

  const uint64_t file_size_;
  ByteRange last_;
  int64_t stride_ = 0;
  int repeats_ = 0;     // Strides of that length in a row.
  uint64_t asked_ = 0;  // Reads to come that have been answered.
};

}  // namespace s3overlay
