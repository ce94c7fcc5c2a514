// SPDX-License-Identifier: Apache-2.0
//
// What a touch of a mapping fetches: the kernel reads around it, and each byte of that comes from the store.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <string>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

class Mapping : public MountTest {
 protected:
  // Bytes of all ranges that were asked for so far.
  uint64_t BytesAsked() {
    uint64_t bytes = 0;
    for (const ProxiedRequest& request : proxy().Requests()) {
      const std::string* const range = request.message.Find("Range");
      if (request.operation != "GET" || range == nullptr) continue;
      const size_t from = range->find('=') + 1;
      const size_t to = range->find('-', from) + 1;
      bytes += std::strtoull(range->c_str() + to, nullptr, 10) - std::strtoull(range->c_str() + from, nullptr, 10) + 1;
    }
    return bytes;
  }
};

// By a program that says nothing of how it reads (madvise).
TEST_F(Mapping, ATouchFetchesLittleMoreThanItsBlock) {
  constexpr size_t kSize = 64 * kMiB;
  constexpr size_t kTouches = 16;
  const std::string object = Pattern(kSize);
  Put("a", object);
  Put("small", "x");
  MountStore();
  // What is set is the whole mount's: this file's was longer.
  ASSERT_TRUE(Holds(At("small"), "x"));
  const UniqueFd fd(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.is_open());
  const char* const mapped = static_cast<const char*>(::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(mapped, MAP_FAILED);
  const uint64_t before = BytesAsked();
  for (size_t i = 0; i < kTouches; ++i) {
    const size_t at = (i * 7 % kTouches) * (kSize / kTouches) + 500 * kKiB;  // In no order, and far from each other.
    EXPECT_EQ(mapped[at], object[at]) << at;
  }
  EXPECT_GE(BytesAsked() - before, kTouches * 4 * kKiB) << "nothing had to be fetched";
  EXPECT_LE(BytesAsked() - before, kTouches * 256 * kKiB);
  ::munmap(const_cast<char*>(mapped), kSize);
}

}  // namespace
}  // namespace s3overlay::testing
