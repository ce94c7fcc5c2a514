// SPDX-License-Identifier: Apache-2.0
//
// Files as a program sees them: bytes or an errno, attributes, names; and contents to compare them with.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// What a program got: bytes, and the errno that ended it (0: the end of the file).
struct ReadOutcome {
  std::string bytes;
  int error = 0;
};

// Bytes that look like no others: every seed and every offset gives different ones.
std::string Pattern(size_t size, uint64_t seed = 1);

ReadOutcome ReadWhole(const std::string& path);
// One pread. With `direct` past the page cache, so that the kernel asks for exactly these bytes (offset and size in
// multiples of 4 KiB).
ReadOutcome ReadAt(int fd, uint64_t offset, size_t size);
ReadOutcome ReadDirect(const std::string& path, uint64_t offset, size_t size);
UniqueFd OpenDirect(const std::string& path);

// 0, or the errno of open() (for reading) and stat().
int OpenError(const std::string& path);
int StatError(const std::string& path);
struct stat StatOf(const std::string& path);

// Sorted, without "." and ".."; `error` is the errno of opendir() or readdir().
struct NamesOutcome {
  std::vector<std::string> names;
  int error = 0;
};
NamesOutcome ListNames(const std::string& directory);

// The value of user.s3overlay.NAME, or the errno's text in angle brackets.
std::string Provenance(const std::string& path, const std::string& name);

// For EXPECT_TRUE: says where contents first differ, and prints none of them.
::testing::AssertionResult SameBytes(const ReadOutcome& outcome, std::string_view expected);
::testing::AssertionResult Holds(const std::string& path, std::string_view expected);

}  // namespace s3overlay::testing
