// SPDX-License-Identifier: Apache-2.0
//
// What one version of one object is called in the cache: XXH3-128 of everything that makes its bytes what they are.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "s3overlay/object_store.h"

namespace s3overlay {

struct ObjectName {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const ObjectName&, const ObjectName&) = default;
};

struct ObjectNameHash {
  size_t operator()(const ObjectName& name) const { return name.low ^ (name.high * 0x9e3779b97f4a7c15U); }
};

// Endpoint, bucket, key, ETag, size and version id, each with its length before it, as keys may hold any byte; the time
// of the last change too where the ETag cannot pin the object.
ObjectName NameOf(const ObjectId& object);

// 32 lower-case hexadecimal digits, and back.
std::string ToHex(const ObjectName& name);
std::optional<ObjectName> ParseObjectName(std::string_view hex);

// "jsonl" of "a/b.jsonl": kept on data files for programs that go by it. Empty unless 1 to 16 letters and digits.
std::string ExtensionOf(std::string_view key);
bool IsExtension(std::string_view text);

// The MD5 that an ETag of exactly 32 hexadecimal digits looks like (S3 API: a single-part upload without SSE-KMS).
using Md5Digest = std::array<unsigned char, 16>;
std::optional<Md5Digest> Md5OfEtag(std::string_view etag);

}  // namespace s3overlay
