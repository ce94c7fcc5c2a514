// SPDX-License-Identifier: Apache-2.0
//
// Objects whose bytes follow from their key and ETag, so that a test knows what every block has to hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "s3overlay/byte_range.h"
#include "s3overlay/hash.h"
#include "s3overlay/object_store.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay::testing {

inline ObjectId MakeObject(const std::string& key, uint64_t size, const std::string& etag = "etag-1") {
  return {.store = "https://store", .bucket = "bucket", .key = key, .etag = etag, .size = size, .version_id = {}};
}

// Never zero, so that a hole is no right answer.
inline std::vector<std::byte> BytesOf(const ObjectId& object, ByteRange range) {
  std::vector<std::byte> bytes(range.size);
  const uint64_t seed = Hash64(object.key + object.etag);
  for (uint64_t i = 0; i < range.size; ++i) {
    const uint64_t word = (seed + (range.offset + i) / 7) * 0x9e3779b97f4a7c15U;
    bytes[i] = std::byte(1 + (word >> 32) % 255);
  }
  return bytes;
}

inline SharedBytes MakeBlock(const ObjectId& object, uint64_t index, uint64_t block_size) {
  return ShareBytes(BytesOf(object, BlockRange(index, block_size, object.size)));
}

}  // namespace s3overlay::testing
