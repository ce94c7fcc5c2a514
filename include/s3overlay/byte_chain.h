// SPDX-License-Identifier: Apache-2.0
//
// ByteChain: bytes that follow each other in a file and lie in several places in memory, so that what is in memory
// already need not be copied on its way to the kernel.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace s3overlay {

// A value. Each piece is kept alive by its owner, and does not change.
class ByteChain {
 public:
  struct Piece {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
  };

  void Append(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
    size_ += bytes.size();
    pieces_.push_back({bytes, std::move(owner)});
  }

  size_t size() const { return size_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

  // `out` has room for all of it.
  void CopyTo(std::span<std::byte> out) const {
    for (const Piece& piece : pieces_) {
      std::memcpy(out.data(), piece.bytes.data(), piece.bytes.size());
      out = out.subspan(piece.bytes.size());
    }
  }

 private:
  std::vector<Piece> pieces_;
  size_t size_ = 0;
};

}  // namespace s3overlay
