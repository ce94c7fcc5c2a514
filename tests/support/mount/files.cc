// SPDX-License-Identifier: Apache-2.0
#include "support/mount/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

namespace s3overlay::testing {
namespace {

constexpr size_t kPage = 4096;

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t(kPage)); }
};
using AlignedBuffer = std::unique_ptr<std::byte[], AlignedDelete>;

AlignedBuffer MakeAligned(size_t size) {
  return AlignedBuffer(static_cast<std::byte*>(::operator new[](size, std::align_val_t(kPage))));
}

}  // namespace

std::string Pattern(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size + sizeof(uint64_t), '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

ReadOutcome ReadWhole(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return {.bytes = {}, .error = errno};
  ReadOutcome outcome;
  std::vector<char> buffer(256 * kKiB);
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) outcome.error = errno;
    if (got <= 0) return outcome;
    outcome.bytes.append(buffer.data(), static_cast<size_t>(got));
  }
}

ReadOutcome ReadAt(int fd, uint64_t offset, size_t size) {
  const AlignedBuffer buffer = MakeAligned(std::max(size, kPage));
  const ssize_t got = ::pread(fd, buffer.get(), size, static_cast<off_t>(offset));
  if (got < 0) return {.bytes = {}, .error = errno};
  return {.bytes = std::string(reinterpret_cast<const char*>(buffer.get()), static_cast<size_t>(got)), .error = 0};
}

UniqueFd OpenDirect(const std::string& path) { return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT)); }

ReadOutcome ReadDirect(const std::string& path, uint64_t offset, size_t size) {
  const UniqueFd fd = OpenDirect(path);
  if (!fd.is_open()) return {.bytes = {}, .error = errno};
  return ReadAt(fd.get(), offset, size);
}

int OpenError(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.is_open() ? 0 : errno;
}

int StatError(const std::string& path) {
  struct stat attributes{};
  return ::stat(path.c_str(), &attributes) == 0 ? 0 : errno;
}

struct stat StatOf(const std::string& path) {
  struct stat attributes{};
  EXPECT_EQ(::lstat(path.c_str(), &attributes), 0) << path << ": " << std::strerror(errno);
  return attributes;
}

NamesOutcome ListNames(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) return {.names = {}, .error = errno};
  NamesOutcome outcome;
  errno = 0;
  while (const dirent* const entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") outcome.names.push_back(name);
  }
  outcome.error = errno;
  std::sort(outcome.names.begin(), outcome.names.end());
  return outcome;
}

std::string Provenance(const std::string& path, const std::string& name) {
  std::array<char, 4096> value{};
  const ssize_t size = ::getxattr(path.c_str(), ("user.s3overlay." + name).c_str(), value.data(), value.size());
  if (size < 0) return std::string("<") + ::strerrorname_np(errno) + ">";
  return {value.data(), static_cast<size_t>(size)};
}

::testing::AssertionResult SameBytes(const ReadOutcome& outcome, std::string_view expected) {
  const auto [mine, theirs] =
      std::mismatch(outcome.bytes.begin(), outcome.bytes.end(), expected.begin(), expected.end());
  const bool same = mine == outcome.bytes.end() && theirs == expected.end();
  if (same && outcome.error == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "got " << outcome.bytes.size() << " bytes of " << expected.size()
                                       << (same ? ", right ones" : ", wrong from offset ")
                                       << (same ? "" : std::to_string(mine - outcome.bytes.begin())) << "; "
                                       << (outcome.error != 0 ? ::strerrorname_np(outcome.error) : "no error");
}

::testing::AssertionResult Holds(const std::string& path, std::string_view expected) {
  return SameBytes(ReadWhole(path), expected) << ": " << path;
}

}  // namespace s3overlay::testing
