// SPDX-License-Identifier: Apache-2.0
#include "support/mount/usage.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "support/mount/files.h"

namespace s3overlay::testing {
namespace {

namespace fs = std::filesystem;

uint64_t AllocatedBytes(const struct stat& attributes) {
  return S_ISREG(attributes.st_mode) ? static_cast<uint64_t>(attributes.st_blocks) * 512 : 0;
}

// Files come and go while this walks.
uint64_t BytesBelow(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    struct stat attributes{};
    if (::lstat(entry->path().c_str(), &attributes) == 0) bytes += AllocatedBytes(attributes);
  }
  return bytes;
}

uint64_t NumberAfter(const std::string& text, const std::string& name) {
  const size_t at = text.find(name);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size(), nullptr, 10);
}

}  // namespace

Usage UsageOf(pid_t pid, const std::string& cache_directory) {
  const fs::path process = "/proc/" + std::to_string(pid);
  const std::string status = ReadWhole(process / "status").bytes;
  Usage usage{.rss = NumberAfter(status, "VmRSS:") * 1024,
              .cache_bytes = BytesBelow(cache_directory),
              .threads = NumberAfter(status, "Threads:"),
              .descriptors = 0,
              .cache_descriptors = 0,
              .connection_descriptors = 0};
  std::error_code error;
  for (fs::directory_iterator entry(process / "fd", error), end; !error && entry != end; entry.increment(error)) {
    ++usage.descriptors;
    std::error_code gone;
    const std::string target = fs::read_symlink(entry->path(), gone);
    struct stat attributes{};
    const bool is_of_cache = target.starts_with(cache_directory);
    if (is_of_cache) ++usage.cache_descriptors;
    if (target.starts_with("socket:") || target.starts_with("anon_inode:")) ++usage.connection_descriptors;
    const bool is_unlinked = is_of_cache && target.ends_with(" (deleted)");
    if (is_unlinked && ::stat(entry->path().c_str(), &attributes) == 0) usage.cache_bytes += AllocatedBytes(attributes);
  }
  return usage;
}

Usage PeakOf(const std::vector<Usage>& samples, size_t first, size_t last) {
  Usage peak;
  for (size_t i = first; i < std::min(last, samples.size()); ++i) {
    peak.rss = std::max(peak.rss, samples[i].rss);
    peak.cache_bytes = std::max(peak.cache_bytes, samples[i].cache_bytes);
    peak.threads = std::max(peak.threads, samples[i].threads);
    peak.descriptors = std::max(peak.descriptors, samples[i].descriptors);
    peak.cache_descriptors = std::max(peak.cache_descriptors, samples[i].cache_descriptors);
    peak.connection_descriptors = std::max(peak.connection_descriptors, samples[i].connection_descriptors);
  }
  return peak;
}

UsageSampler::UsageSampler(pid_t pid, std::string cache_directory)
    : thread_([this, pid, directory = std::move(cache_directory)] {
        while (!stopping_) {
          samples_.push_back(UsageOf(pid, directory));
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
      }) {}

void UsageSampler::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace s3overlay::testing
