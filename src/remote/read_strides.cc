// SPDX-License-Identifier: Apache-2.0
#include "remote/read_strides.h"

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

constexpr uint64_t kMostAhead = 32;  // Reads.

}  // namespace

std::vector<ByteRange> ReadStrides::OnRead(ByteRange read) {
  if (!Repeats(read)) return {};
  asked_ -= std::min<uint64_t>(asked_, 1);
  std::vector<ByteRange> ranges;
  // Twice as many as have proved it.
  const uint64_t wanted = std::min<uint64_t>(2 * static_cast<uint64_t>(repeats_), kMostAhead);
  for (; asked_ < wanted; ++asked_) {
    const auto steps = static_cast<int64_t>(asked_ + 1);
    const int64_t offset = static_cast<int64_t>(read.offset) + stride_ * steps;
    if (offset < 0 || static_cast<uint64_t>(offset) >= file_size_) break;
    ranges.push_back(Intersect({static_cast<uint64_t>(offset), read.size}, {0, file_size_}));
  }
  return ranges;
}

bool ReadStrides::Repeats(ByteRange read) {
  const ByteRange before = std::exchange(last_, read);
  const int64_t stride = static_cast<int64_t>(read.offset) - static_cast<int64_t>(before.offset);
  if (stride == stride_ && stride != 0 && read.size == before.size) {
    ++repeats_;
  } else {
    stride_ = stride;
    repeats_ = 1;
    asked_ = 0;
  }
  return follows();
}

}  // namespace s3overlay
