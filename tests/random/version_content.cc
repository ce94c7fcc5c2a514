// SPDX-License-Identifier: Apache-2.0
#include "random/version_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>

namespace s3overlay::testing {
namespace {

constexpr uint64_t kWord = sizeof(uint64_t);
constexpr uint64_t kBlock = 128 << 10;  // Of the cache.
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMark = uint64_t{1} << 63;  // No word is zero, so that a hole is no right answer.
constexpr uint64_t kLocal = uint64_t{1} << 47;

static_assert(std::endian::native == std::endian::little);

uint64_t WordAt(const Version& version, uint64_t index) {
  return kMark | uint64_t{version.path} << 48 | (version.local ? kLocal : 0) | uint64_t{version.number} << 32 | index;
}

struct NamedWord {
  Version version;
  uint64_t offset;
};

std::optional<NamedWord> NameOfWord(uint64_t word) {
  if ((word & kMark) == 0) return std::nullopt;
  return NamedWord{{.path = static_cast<uint16_t>(word >> 48 & 0x7fff),
                    .number = static_cast<uint16_t>(word >> 32 & 0x7fff),
                    .local = (word & kLocal) != 0},
                   (word & 0xffffffff) * kWord};
}

uint64_t LoadWord(const std::byte* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, kWord);
  return word;
}

// How many bytes of a range that starts at `offset` come before the first whole word.
size_t HeadOf(uint64_t offset) { return (kWord - offset % kWord) % kWord; }

// Where the first byte is that is not of that version.
size_t FirstWrong(const Version& version, uint64_t offset, std::span<const std::byte> bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const uint64_t word = WordAt(version, (offset + at) / kWord);
    const size_t skip = (offset + at) % kWord;
    const size_t size = std::min(kWord - skip, bytes.size() - at);
    const auto* const right = reinterpret_cast<const std::byte*>(&word) + skip;
    if (size != kWord || LoadWord(bytes.data() + at) != word) {
      const auto [wrong, end] = std::mismatch(bytes.data() + at, bytes.data() + at + size, right);
      if (end != right + size) return static_cast<size_t>(wrong - bytes.data());
    }
    at += size;
  }
  return bytes.size();
}

std::string Excerpt(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes.first(std::min<size_t>(bytes.size(), 48))) {
    const auto c = static_cast<char>(byte);
    text += c >= ' ' && c <= '~' ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned>(byte));
  }
  return text;
}

}  // namespace

std::string Describe(const Version& version) {
  return fmt::format("version {} of the {}", version.number, version.local ? "local file" : "object");
}

FilePlan::FilePlan(uint64_t seed)
    : seed_(seed),
      files_({
          {"tiny.txt", Sizes::kTiny, 0},
          {"dir/tiny.json", Sizes::kTiny, 0},
          {"dir/small-1.jsonl", Sizes::kSmall, 0},
          {"dir/small-2.jsonl", Sizes::kSmall, 0},
          {"dir/small-3.jsonl", Sizes::kSmall, 0},
          {"border.bin", Sizes::kBorder, 0},
          {"a/b/c/border.bin", Sizes::kBorder, 0},
          {"fixed-small.bin", Sizes::kFixed, 3 * 4096 + 5},
          {"fixed-blocks.bin", Sizes::kFixed, 9 * kBlock},
          {"dir/fixed.parquet", Sizes::kFixed, 2 * kMiB + 4321},
          {"a/b/fixed.bin", Sizes::kFixed, 3 * kMiB + kBlock + 1},
          {"medium.zip", Sizes::kMedium, 0},
          {"a/medium", Sizes::kMedium, 0},
          {"large.safetensors", Sizes::kLarge, 0},
      }) {}

std::string FilePlan::DirectoryOf(uint16_t path) const {
  const size_t slash = PathOf(path).rfind('/');
  return slash == std::string::npos ? "" : PathOf(path).substr(0, slash);
}

std::string FilePlan::NameOf(uint16_t path) const { return PathOf(path).substr(PathOf(path).rfind('/') + 1); }

uint64_t FilePlan::SizeOf(const Version& version) const {
  const File& file = files_.at(version.path);
  std::seed_seq seeds{seed_, uint64_t{version.path}, uint64_t{version.number}, uint64_t{version.local}};
  std::mt19937_64 random(seeds);
  const auto below = [&](uint64_t limit) { return random() % limit; };
  switch (file.sizes) {
    case Sizes::kTiny: return below(3) == 0 ? 0 : 1 + below(600);
    case Sizes::kSmall: return 1 + below(96 << 10);
    case Sizes::kBorder: return (1 + below(17)) * kBlock - 1 + below(3);
    case Sizes::kMedium: return kMiB / 2 + below(11 * kMiB / 2);
    case Sizes::kLarge: return 10 * kMiB + below(14 * kMiB);
    case Sizes::kFixed: return file.fixed_size;
  }
  return 0;
}

std::string FilePlan::ContentOf(const Version& version) const {
  const uint64_t size = SizeOf(version);
  std::string content(size + kWord, '\0');
  for (uint64_t at = 0; at < size; at += kWord) {
    const uint64_t word = WordAt(version, at / kWord);
    std::memcpy(content.data() + at, &word, kWord);
  }
  content.resize(size);
  return content;
}

std::optional<Version> FilePlan::FindVersion(uint64_t offset, std::span<const std::byte> bytes) const {
  const size_t head = HeadOf(offset);
  if (bytes.size() < head + kWord) return std::nullopt;
  const auto named = NameOfWord(LoadWord(bytes.data() + head));
  if (!named || named->version.path >= count()) return std::nullopt;
  return named->version;
}

std::optional<std::string> FilePlan::FindWrong(const Version& expected, uint64_t offset,
                                               std::span<const std::byte> bytes) const {
  const size_t at = FirstWrong(expected, offset, bytes);
  if (at == bytes.size()) return std::nullopt;
  return fmt::format("at offset {} (byte {} of {} that were read) {} was to be read, and what came is {}", offset + at,
                     at, bytes.size(), Describe(expected), DescribeBytes(offset + at, bytes.subspan(at)));
}

// What stands there in place of what should.
std::string FilePlan::DescribeBytes(uint64_t offset, std::span<const std::byte> bytes) const {
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  const auto zeros = std::find_if_not(bytes.begin(), bytes.end(), is_zero) - bytes.begin();
  if (zeros >= static_cast<ptrdiff_t>(std::min(2 * kWord, bytes.size()))) return fmt::format("{} bytes of zero", zeros);
  const size_t head = HeadOf(offset);
  if (bytes.size() >= head + kWord) {
    const auto named = NameOfWord(LoadWord(bytes.data() + head));
    if (named && named->version.path < count()) {
      return fmt::format("what belongs at offset {} of {} of {}", named->offset - head, Describe(named->version),
                         PathOf(named->version.path));
    }
  }
  return fmt::format("none of ours: {}", Excerpt(bytes));
}

}  // namespace s3overlay::testing
