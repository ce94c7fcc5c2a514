// SPDX-License-Identifier: Apache-2.0
//
// Many readers at once, each far ahead of which the mount would like to read: they share one --memory-limit.
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "support/mount/mount_test.h"
#include "support/mount/usage.h"

namespace s3overlay::testing {
namespace {

constexpr int kReaders = 64;
constexpr int kObjects = 8;
constexpr size_t kObjectSize = 64 * kMiB;
constexpr uint64_t kMemoryLimit = 128 * kMiB;
constexpr std::chrono::seconds kReadTime{10};

class MemoryLimit : public MountTest {
 protected:
  static std::string NameOf(int object) { return "object-" + std::to_string(object); }

  // Around an object from `offset` on, again and again, until the time is over.
  void ReadInOrder(int object, uint64_t offset, std::chrono::steady_clock::time_point end) {
    const UniqueFd fd(::open(At(NameOf(object)).c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(fd.is_open());
    while (std::chrono::steady_clock::now() < end) {
      const ReadOutcome got = ReadAt(fd.get(), offset, kMiB);
      ASSERT_EQ(got.error, 0) << NameOf(object) << " at " << offset;
      ASSERT_EQ(got.bytes.size(), kMiB) << NameOf(object) << " at " << offset;
      ASSERT_EQ(std::memcmp(got.bytes.data(), content_.data() + offset, kMiB), 0) << NameOf(object) << " at " << offset;
      bytes_ += kMiB;
      offset = (offset + kMiB) % kObjectSize;
    }
  }

  const std::string content_ = Pattern(kObjectSize);
  std::atomic<uint64_t> bytes_{0};
};

TEST_F(MemoryLimit, IsSharedByManyReaders) {
  for (int i = 0; i < kObjects; ++i) Put(NameOf(i), content_);
  // Without a cache each byte comes from the store, and stays in the daemon until it is read.
  MountOptions options;
  options.arguments = {"--layer", S3Layer(), "--memory-limit", std::to_string(kMemoryLimit), "--log-level", "info"};
  options.cache = false;
  MountWith(options);
  UsageSampler sampler(mount().pid(), sandbox().cache());
  const auto end = std::chrono::steady_clock::now() + kReadTime;
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    const uint64_t apart = static_cast<uint64_t>(i / kObjects) * (kObjectSize / kObjects);
    readers.emplace_back([&, i, apart] { ReadInOrder(i % kObjects, apart, end); });
  }
  for (std::thread& reader : readers) reader.join();
  sampler.Stop();
  const Usage peak = PeakOf(sampler.samples(), 0, sampler.samples().size());
  std::cout << "read " << bytes_ / kMiB << " MiB; peak RSS " << peak.rss / kMiB << " MiB, threads " << peak.threads
            << ", descriptors " << peak.descriptors << '\n';
  EXPECT_GT(bytes_, kReaders * kMiB) << "each got on";
  EXPECT_GT(peak.rss, kMemoryLimit / 4) << "and it was looked at";
  EXPECT_LE(peak.rss, kMemoryLimit + 64 * kMiB);
}

}  // namespace
}  // namespace s3overlay::testing
