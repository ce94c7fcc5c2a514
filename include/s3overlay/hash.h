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

// XXH3-64 as 16 and XXH3-128 as 32 lower-case hexadecimal digits.
std::string Hash64Hex(std::string_view text);
std::string Hash128Hex(std::string_view text);

}  // namespace s3overlay
