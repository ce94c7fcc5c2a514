// SPDX-License-Identifier: Apache-2.0
//
// What a daemon takes of its machine, looked at while it works: memory, threads, descriptors, and the space of its
// cache with everything that is unlinked and still open.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace s3overlay::testing {

struct Usage {
  uint64_t rss = 0;          // Bytes.
  uint64_t cache_bytes = 0;  // On the medium, of the directory and of what the daemon holds open of it.
  uint64_t threads = 0;
  uint64_t descriptors = 0;
  uint64_t cache_descriptors = 0;       // Those of them that are files of the cache,
  uint64_t connection_descriptors = 0;  // and sockets, with what wakes who waits for them.
};

// What the process takes now; zeros where it is gone.
Usage UsageOf(pid_t pid, const std::string& cache_directory);

// The most of each in samples [first, last).
Usage PeakOf(const std::vector<Usage>& samples, size_t first, size_t last);

// Looks every 50 ms, on a thread of its own, until Stop().
class UsageSampler {
 public:
  UsageSampler(pid_t pid, std::string cache_directory);
  ~UsageSampler() { Stop(); }
  UsageSampler(const UsageSampler&) = delete;
  UsageSampler& operator=(const UsageSampler&) = delete;

  void Stop();
  // After Stop().
  const std::vector<Usage>& samples() const { return samples_; }

 private:
  std::atomic<bool> stopping_{false};
  std::vector<Usage> samples_;
  std::thread thread_;
};

}  // namespace s3overlay::testing
