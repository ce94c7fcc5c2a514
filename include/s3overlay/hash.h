// SPDX-License-Identifier: Apache-2.0
//
// Fast hashes for names, checksums of cache blocks and inode numbers (xxHash's XXH3). Not for secrets or proofs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace s3overlay {

// XXH3-64.
uint64_t Hash64(std::string_view text);
uint64_t Hash64(std::span<const std::byte> bytes);

// XXH3-64 as 16 lower-case hexadecimal digits.
std::string Hash64Hex(std::string_view text);

// XXH3-128.
struct Digest128 {
  uint64_t high = 0;
  uint64_t low = 0;
};
Digest128 Hash128(std::string_view text);

}  // namespace s3overlay
