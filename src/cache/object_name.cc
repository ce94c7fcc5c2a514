// SPDX-License-Identifier: Apache-2.0
#include "cache/object_name.h"

#include <fmt/format.h>

#include <algorithm>

#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

constexpr size_t kMaxExtension = 16;

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

bool IsLetterOrDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void AppendNumber(std::string& text, uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) text.push_back(static_cast<char>(number >> shift));
}

void AppendField(std::string& text, std::string_view field) {
  AppendNumber(text, field.size());
  text.append(field);
}

std::string IdentityOf(const ObjectId& object) {
  std::string text;
  text.reserve(object.store.size() + object.bucket.size() + object.key.size() + object.etag.size() + 64);
  AppendField(text, object.store);
  AppendField(text, object.bucket);
  AppendField(text, object.key);
  AppendField(text, object.etag);
  AppendField(text, object.version_id);
  AppendNumber(text, object.size);
  if (!HasStrongEtag(object)) {
    AppendNumber(text, static_cast<uint64_t>(object.last_modified.time_since_epoch().count()));
  }
  return text;
}

}  // namespace

// Asked for every block that is read: no formatting on the way.
ObjectName NameOf(const ObjectId& object) {
  const Digest128 digest = Hash128(IdentityOf(object));
  return {.high = digest.high, .low = digest.low};
}

std::string ToHex(const ObjectName& name) { return fmt::format("{:016x}{:016x}", name.high, name.low); }

std::optional<ObjectName> ParseObjectName(std::string_view hex) {
  if (hex.size() != 32) return std::nullopt;
  std::array<uint64_t, 2> halves{};
  for (size_t i = 0; i < hex.size(); ++i) {
    const auto digit = HexDigit(hex[i]);
    if (!digit) return std::nullopt;
    halves[i / 16] = (halves[i / 16] << 4) | *digit;
  }
  return ObjectName{halves[0], halves[1]};
}

bool IsExtension(std::string_view text) {
  return !text.empty() && text.size() <= kMaxExtension && std::all_of(text.begin(), text.end(), IsLetterOrDigit);
}

std::string ExtensionOf(std::string_view key) {
  const std::string_view file = key.substr(key.rfind('/') + 1);
  const size_t dot = file.rfind('.');
  if (dot == std::string_view::npos || !IsExtension(file.substr(dot + 1))) return "";
  return std::string(file.substr(dot + 1));
}

std::optional<Md5Digest> Md5OfEtag(std::string_view etag) {
  const auto halves = ParseObjectName(etag);
  if (!halves) return std::nullopt;
  Md5Digest digest{};
  for (size_t i = 0; i < digest.size(); ++i) {
    const uint64_t half = i < 8 ? halves->high : halves->low;
    digest[i] = static_cast<unsigned char>(half >> (56 - 8 * (i % 8)));
  }
  return digest;
}

}  // namespace s3overlay
