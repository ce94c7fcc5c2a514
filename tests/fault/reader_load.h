// SPDX-License-Identifier: Apache-2.0
//
// ReaderLoad: programs that read objects of a mount at random, whole, in part and by mmap, and compare every byte.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace s3overlay::testing {

struct LoadedFile {
  std::string path;
  std::string content;
};

class ReaderLoad {
 public:
  // A read that fails is a test failure where `errors_allowed` is false; a wrong byte always is.
  ReaderLoad(const std::vector<LoadedFile>& files, int threads, bool errors_allowed = false);
  ~ReaderLoad() { Stop(); }
  ReaderLoad(const ReaderLoad&) = delete;
  ReaderLoad& operator=(const ReaderLoad&) = delete;

  void Stop();
  uint64_t bytes() const { return bytes_; }
  uint64_t errors() const { return errors_; }

 private:
  void Run(uint64_t seed);
  void ReadSome(const LoadedFile& file, uint64_t random);
  void ReadMapped(const LoadedFile& file, uint64_t random);
  void Note(bool failed, const LoadedFile& file, const std::string& what);
  void Compare(const LoadedFile& file, uint64_t offset, const char* bytes, size_t size);

  const std::vector<LoadedFile>& files_;
  const bool errors_allowed_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> errors_{0};
  std::vector<std::thread> threads_;
};

}  // namespace s3overlay::testing
