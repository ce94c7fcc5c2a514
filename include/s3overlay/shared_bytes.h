// SPDX-License-Identifier: Apache-2.0
//
// SharedBytes: bytes in memory and what keeps them there, for whoever hands them on without copying them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace s3overlay {

// A value; without an owner it stands for no bytes at all. The bytes do not change.
struct SharedBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  explicit operator bool() const { return owner != nullptr; }
  size_t size() const { return bytes.size(); }
  SharedBytes Subspan(size_t offset, size_t size) const { return {bytes.subspan(offset, size), owner}; }
};

inline SharedBytes ShareBytes(std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return {*owner, owner};
}

}  // namespace s3overlay
