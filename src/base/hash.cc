// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace s3overlay {

uint64_t Hash64(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

uint64_t Hash64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string Hash64Hex(std::string_view text) { return fmt::format("{:016x}", Hash64(text)); }

Digest128 Hash128(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace s3overlay
