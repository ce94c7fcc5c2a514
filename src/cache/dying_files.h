// SPDX-License-Identifier: Apache-2.0
//
// DyingFiles: data files that were handed out for passthrough and have to go. A mapping outlives every handle, and a
// file that is punched or truncated under one reads as zeros there; so such a file is moved out of the way, and
// unlinked once a write lease says that nobody has it open or mapped any more (fcntl(2), F_SETLEASE). Until then its
// bytes count.
//
// Of one thread, but for bytes().
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace s3overlay {

class DyingFiles {
 public:
  // `bytes` are what the file takes on the medium.
  void Add(std::string path, uint64_t bytes);

  // Unlinks those that nobody uses any more.
  void Reap();

  // The files are gone anyhow.
  void Forget();

  bool empty() const { return files_.empty(); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct File {
    std::string path;
    uint64_t bytes = 0;
  };

  std::vector<File> files_;
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace s3overlay
