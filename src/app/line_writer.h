// SPDX-License-Identifier: Apache-2.0
//
// LineWriter: bytes to a descriptor, up to a number of lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "s3overlay/result.h"

namespace s3overlay {

// Not thread-safe. Does not own the descriptor.
class LineWriter {
 public:
  LineWriter(int fd, std::optional<uint64_t> lines) : fd_(fd), lines_left_(lines), done_(lines == 0U) {}

  // All bytes, or those up to the end of the last line that is wanted. kSystem.
  Result<void> Write(std::span<const std::byte> bytes);

  // Nothing more is wanted: the lines are out, or the reader has gone away.
  bool done() const { return done_; }

 private:
  size_t CountWanted(std::span<const std::byte> bytes);

  const int fd_;
  std::optional<uint64_t> lines_left_;  // Nothing: all of them.
  bool done_;
};

}  // namespace s3overlay
