// SPDX-License-Identifier: Apache-2.0
//
// What every byte of the random run has to be. The content of a file is a function of its path and version alone, so
// that whoever reads needs no copy to compare with; and it describes itself: each word of 8 bytes names the path, the
// version and its own offset, so that a wrong byte tells where it belongs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace s3overlay::testing {

// One content of one path: of its object, or of the local file of that name.
struct Version {
  uint16_t path = 0;
  uint16_t number = 0;  // From 1 on.
  bool local = false;

  friend bool operator==(const Version&, const Version&) = default;
};

std::string Describe(const Version& version);

// The paths of a run, and what each version of them holds. Immutable.
class FilePlan {
 public:
  explicit FilePlan(uint64_t seed);

  uint16_t count() const { return static_cast<uint16_t>(files_.size()); }
  const std::string& PathOf(uint16_t path) const { return files_.at(path).path; }
  // The two parts of a path; "" is the root.
  std::string DirectoryOf(uint16_t path) const;
  std::string NameOf(uint16_t path) const;
  uint64_t SizeOf(const Version& version) const;
  std::string ContentOf(const Version& version) const;

  // The version that the first whole word of these bytes names; nothing where no word is whole, or none of ours.
  std::optional<Version> FindVersion(uint64_t offset, std::span<const std::byte> bytes) const;

  // Nothing where the bytes are that version's; else what they are.
  std::optional<std::string> FindWrong(const Version& expected, uint64_t offset,
                                       std::span<const std::byte> bytes) const;

 private:
  enum class Sizes {
    kTiny,    // 0 bytes now and then, else up to 600.
    kSmall,   // Up to 96 KiB.
    kBorder,  // A whole number of blocks, or a byte more or less.
    kMedium,  // Up to 6 MiB.
    kLarge,   // 10 to 24 MiB.
    kFixed,   // The same for every version and the local file: only the bytes can tell them apart.
  };
  struct File {
    std::string path;
    Sizes sizes;
    uint64_t fixed_size;
  };

  std::string DescribeBytes(uint64_t offset, std::span<const std::byte> bytes) const;

  const uint64_t seed_;
  const std::vector<File> files_;
};

}  // namespace s3overlay::testing
