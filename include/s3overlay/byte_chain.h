// SPDX-License-Identifier: Apache-2.0
//
// ByteChain: bytes that follow each other in a file and lie in several places in memory, so that what is in memory
// already need not be copied on its way to the kernel.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "s3overlay/shared_bytes.h"

namespace s3overlay {

// A value. Each piece is kept alive by its owner, and does not change.
class ByteChain {
 public:
  void Append(SharedBytes piece) {
    size_ += piece.size();
    pieces_.push_back(std::move(piece));
  }

  size_t size() const { return size_; }
  const std::vector<SharedBytes>& pieces() const { return pieces_; }

  // `out` has room for all of it.
  void CopyTo(std::span<std::byte> out) const {
    for (const SharedBytes& piece : pieces_) {
      std::memcpy(out.data(), piece.bytes.data(), piece.bytes.size());
      out = out.subspan(piece.bytes.size());
    }
  }

 private:
  std::vector<SharedBytes> pieces_;
  size_t size_ = 0;
};

}  // namespace s3overlay
