// SPDX-License-Identifier: Apache-2.0
//
// What the reader of the benchmarks is made of: files that end the program where they fail, and a report.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace s3overlay::bench {

// Says what failed and why (errno), and ends the program.
[[noreturn]] void Fail(const std::string& what);

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class ReadableFile {
 public:
  explicit ReadableFile(const std::string& path);
  ~ReadableFile();
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;

  int fd() const { return fd_; }
  uint64_t size() const;
  size_t ReadAt(char* buffer, size_t size, uint64_t offset) const;  // Fewer bytes at the end only.
  void DropPages() const;

 private:
  const int fd_;
};

// Paths of the names in a directory, ascending, without those that begin with a dot.
std::vector<std::string> ListDirectory(const std::string& directory);

struct Report {
  uint64_t bytes = 0;
  uint64_t operations = 0;
  uint64_t checksum = 0;
  std::map<std::string, double> extra;

  void Count(size_t read);
  void Chain(const char* data, size_t size);                     // The checksum depends on the order.
  void AddPart(const char* data, size_t size, uint64_t offset);  // It does not: parts may come in any order.
  void AddFile(const ReadableFile& file, std::vector<char>& buffer);
  void Add(const Report& other);
};

}  // namespace s3overlay::bench
