// SPDX-License-Identifier: Apache-2.0
//
// A mount keeps to its limits while several times as much as they allow is read through it: looked at every 50 ms.
// Also a soak: S3OVERLAY_TEST_SOAK_SECONDS says how long (two minutes).
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <thread>

#include "fault/reader_load.h"
#include "support/mount/mount_test.h"
#include "support/mount/usage.h"

namespace s3overlay::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr uint64_t kCacheSize = 32 * kMiB;
constexpr uint64_t kMemoryLimit = 64 * kMiB;
constexpr uint64_t kMaxConnections = 64 + 16;  // Those that are kept, and those in use beside them.
// What the cache may hold beside its size: a block that is being written, and what the index grows by until it is
// committed; and what comes and goes while a sample walks over the files.
constexpr uint64_t kInFlight = 4 * kMiB;

std::chrono::seconds SoakTime() {
  const char* const seconds = std::getenv("S3OVERLAY_TEST_SOAK_SECONDS");
  return std::chrono::seconds(seconds != nullptr ? std::atoi(seconds) : kSanitized ? 10 : 120);
}

// Of all but the cache's own files, which depend on what is read at the moment, and connections, of which as many are
// kept as were once needed together.
double MeanDescriptors(const std::vector<Usage>& samples, size_t first, size_t last) {
  double sum = 0;
  for (size_t i = first; i < last; ++i) {
    const Usage& usage = samples[i];
    sum += static_cast<double>(usage.descriptors - usage.cache_descriptors - usage.connection_descriptors);
  }
  return sum / static_cast<double>(last - first);
}

class CacheLimits : public MountTest {
 protected:
  // What waits in each queue now.
  std::map<std::string, uint64_t> QueueLengths() {
    std::map<std::string, uint64_t> lengths;
    const auto status = mount().Status();
    for (const auto& queue : status.at("queues")) {
      EXPECT_LE(queue.at("length").get<uint64_t>(), queue.at("limit").get<uint64_t>()) << queue.dump();
      lengths[queue.at("name")] += queue.at("length").get<uint64_t>();
    }
    return lengths;
  }

  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    for (int i = 0; i < 40; ++i) {
      const std::string name = "object-" + std::to_string(i);
      const size_t size = i % 8 == 0 ? 12 * kMiB : i % 2 == 0 ? 3 * kMiB : 200 * kKiB + static_cast<size_t>(i);
      files_.push_back({.path = sandbox().mountpoint() + "/" + name, .content = Pattern(size, 100 + files_.size())});
      Put(name, files_.back().content);
    }
    MountStore({"--cache-size", std::to_string(kCacheSize), "--memory-limit", std::to_string(kMemoryLimit),
                "--log-level", "info"});
  }

  std::vector<LoadedFile> files_;
};

TEST_F(CacheLimits, HoldUnderLoadAndDoNotCreep) {
  const Usage base = UsageOf(mount().pid(), sandbox().cache());
  UsageSampler sampler(mount().pid(), sandbox().cache());
  ReaderLoad load(files_, 6);
  const auto end = std::chrono::steady_clock::now() + SoakTime();
  std::map<std::string, uint64_t> longest;
  while (std::chrono::steady_clock::now() < end && !HasFailure()) {
    for (const auto& [name, length] : QueueLengths()) longest[name] = std::max(longest[name], length);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  load.Stop();
  sampler.Stop();
  const std::vector<Usage>& samples = sampler.samples();
  ASSERT_GT(samples.size(), 9U);
  const size_t third = samples.size() / 3;
  const Usage peak = PeakOf(samples, 0, samples.size());
  const Usage middle = PeakOf(samples, third, 2 * third);
  const Usage last = PeakOf(samples, 2 * third, samples.size());
  const double middle_descriptors = MeanDescriptors(samples, third, 2 * third);
  const double last_descriptors = MeanDescriptors(samples, 2 * third, samples.size());
  std::cout << "read " << load.bytes() / kMiB << " MiB; peak: cache " << peak.cache_bytes / kMiB << " MiB, RSS "
            << peak.rss / kMiB << " (middle " << middle.rss / kMiB << ", last " << last.rss / kMiB << "), threads "
            << peak.threads << ", descriptors " << peak.descriptors << " (" << peak.cache_descriptors
            << " of the cache, " << peak.connection_descriptors << " of connections; of the others "
            << middle_descriptors << " on average, last " << last_descriptors << ")\n";
  for (const auto& [name, length] : longest) std::cout << "queue " << name << ": " << length << " at most\n";
  EXPECT_GT(longest["cache-writer"], 0U) << "and the queues are looked at";
  EXPECT_TRUE(Eventually([&] {
    const auto lengths = QueueLengths();
    return std::ranges::all_of(lengths, [](const auto& queue) { return queue.second == 0; });
  }));
  EXPECT_LE(peak.cache_bytes, kCacheSize + kInFlight);
  EXPECT_GT(peak.cache_bytes, kCacheSize / 2) << "and the cache is used";
  EXPECT_LE(peak.threads, 100U);
  EXPECT_LE(peak.descriptors, 400U);
  EXPECT_LE(last_descriptors, middle_descriptors + 4) << "on average";
  EXPECT_LE(peak.connection_descriptors, 3 * kMaxConnections) << "a socket, and two to be woken by";
  EXPECT_LE(peak.cache_descriptors, 3 * files_.size())
      << "one to read and write, one for the kernel, one on its way out";
  if (kSanitized) return;
  EXPECT_LE(peak.rss, base.rss + kMemoryLimit + 64 * kMiB);
  EXPECT_LE(last.rss, middle.rss + middle.rss / 20 + 8 * kMiB);
}

}  // namespace
}  // namespace s3overlay::testing
