// SPDX-License-Identifier: Apache-2.0
//
// The ways in which programs get at the bytes of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

enum class ReadWay { kPread, kRead, kReadv, kSendfile, kSplice, kMmapShared, kMmapPrivate };
inline constexpr int kReadWays = 7;
inline constexpr int kReadWaysWithoutMap = 5;  // The first ones.

std::string_view NameOf(ReadWay way);

// What a program got: bytes, and what came after them.
struct Reading {
  std::vector<std::byte> bytes;
  int error = 0;           // The errno that ended it; SIGBUS in a mapping counts as EIO.
  bool at_end = false;     // Ended by a read that answered 0.
  bool by_signal = false;  // The error was a SIGBUS.
};

// Reads until `size` bytes are there, an error or the end comes. Mappings are made to `file_size`, the size that the
// program was told, and read up to there.
Reading ReadBytes(int fd, uint64_t offset, size_t size, ReadWay way, uint64_t file_size);

// The names of a directory, sorted, or the errno of listing it.
struct DirectoryReading {
  std::vector<std::string> names;
  int error = 0;
};
DirectoryReading ReadNames(const std::string& directory);

// A mapping of a file that may be closed meanwhile.
class Mapping {
 public:
  Mapping() = default;
  // Not valid where mmap fails, or `size` is 0; then errno is set.
  Mapping(int fd, uint64_t size, bool is_shared);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  bool is_valid() const { return memory_ != nullptr; }
  uint64_t size() const { return size_; }

  // Touches every page of the range, which lies inside.
  Reading Read(uint64_t offset, size_t size) const;

  // The kernel may let go of the pages: the next touch asks for them again.
  void DropPages() const;

 private:
  std::byte* memory_ = nullptr;
  uint64_t size_ = 0;
};

// Once for each process that reads mappings: makes a SIGBUS in Mapping::Read an answer.
void CatchBusErrors();

// Memory that starts at a page, as O_DIRECT wants it.
class PageBuffer {
 public:
  explicit PageBuffer(size_t size);
  ~PageBuffer();
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace s3overlay::testing
