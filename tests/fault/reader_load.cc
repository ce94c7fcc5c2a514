// SPDX-License-Identifier: Apache-2.0
#include "fault/reader_load.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "s3overlay/unique_fd.h"
#include "support/mount/files.h"

namespace s3overlay::testing {

ReaderLoad::ReaderLoad(const std::vector<LoadedFile>& files, int threads, bool errors_allowed)
    : files_(files), errors_allowed_(errors_allowed) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Run(static_cast<uint64_t>(i) + 1); });
}

void ReaderLoad::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ReaderLoad::Run(uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stopping_ && !::testing::Test::HasFailure()) {
    const LoadedFile& file = files_[random() % files_.size()];
    // A mapping of a mount that dies is a SIGBUS: not where errors are allowed.
    if (!errors_allowed_ && random() % 4 == 0) {
      ReadMapped(file, random());
    } else {
      ReadSome(file, random());
    }
  }
}

// All of it, or a few pieces.
void ReaderLoad::ReadSome(const LoadedFile& file, uint64_t random) {
  const UniqueFd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  Note(!fd.is_open(), file, "open");
  if (!fd.is_open()) return;
  const bool whole = random % 3 == 0;
  std::vector<char> buffer(whole ? kMiB : 64 * kKiB);
  const uint64_t steps = whole ? file.content.size() / buffer.size() + 1 : 8;
  for (uint64_t i = 0; i < steps && !stopping_; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const uint64_t offset = whole ? i * buffer.size() : (random >> 16) % file.content.size();
    const ssize_t got = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    const size_t expected = offset < file.content.size() ? std::min(buffer.size(), file.content.size() - offset) : 0;
    // Where the mount dies during a read, the kernel gives what it had by then.
    if (!errors_allowed_ && got >= 0 && static_cast<size_t>(got) != expected) {
      ADD_FAILURE() << file.path << ": a read of " << buffer.size() << " bytes at " << offset << " of "
                    << file.content.size() << " gave " << got;
    }
    Note(got < 0, file, "read");
    if (got > 0) Compare(file, offset, buffer.data(), static_cast<size_t>(got));
    if (got < 0) return;
  }
}

// The handle is closed while the mapping is in use.
void ReaderLoad::ReadMapped(const LoadedFile& file, uint64_t random) {
  void* mapping = MAP_FAILED;
  {
    const UniqueFd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.is_open()) mapping = ::mmap(nullptr, file.content.size(), PROT_READ, MAP_SHARED, fd.get(), 0);
  }
  Note(mapping == MAP_FAILED, file, "mmap");
  if (mapping == MAP_FAILED) return;
  for (int i = 0; i < 4 && !stopping_; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const uint64_t offset = (random >> 16) % file.content.size();
    const size_t size = std::min<size_t>(64 * kKiB, file.content.size() - offset);
    Compare(file, offset, static_cast<const char*>(mapping) + offset, size);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ::munmap(mapping, file.content.size());
}

void ReaderLoad::Note(bool failed, const LoadedFile& file, const std::string& what) {
  if (!failed) return;
  ++errors_;
  if (!errors_allowed_) ADD_FAILURE() << what << " of " << file.path << ": " << std::strerror(errno);
  if (errors_allowed_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void ReaderLoad::Compare(const LoadedFile& file, uint64_t offset, const char* bytes, size_t size) {
  bytes_ += size;
  if (std::memcmp(bytes, file.content.data() + offset, size) != 0) {
    ADD_FAILURE() << file.path << ": wrong bytes in " << size << " at " << offset;
  }
}

}  // namespace s3overlay::testing
