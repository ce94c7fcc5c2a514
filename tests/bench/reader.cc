// SPDX-License-Identifier: Apache-2.0
//
// Reads the way a benchmark asks for and prints one JSON line: what was read, how long it took, and a checksum.
//
// Usage: reader sequential FILE [BUFFER]     the whole file, front to back
//        reader random FILE COUNT SIZE       COUNT preads of SIZE bytes at offsets from a fixed seed
//        reader streams FILE COUNT           COUNT interleaved sequential streams through one descriptor
//        reader small DIR                    opens, reads and closes every file of a directory, in listing order
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Report {
  uint64_t bytes = 0;
  uint64_t operations = 0;
  uint64_t checksum = 0;
};

[[noreturn]] void Fail(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

int OpenFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Fail(path);
  return fd;
}

size_t ReadAt(int fd, std::vector<char>& buffer, size_t size, uint64_t offset) {
  const ssize_t got = ::pread(fd, buffer.data(), size, static_cast<off_t>(offset));
  if (got < 0) Fail("pread");
  return static_cast<size_t>(got);
}

uint64_t SizeOf(int fd) { return static_cast<uint64_t>(::lseek(fd, 0, SEEK_END)); }

// XXH3 runs at memory speed, and still the native read of a warm file would be half checksum: one pass in full, and
// only lengths where the caller does not look.
Report Sequential(const std::string& path, size_t buffer_size, bool check) {
  const int fd = OpenFile(path);
  std::vector<char> buffer(buffer_size);
  Report report;
  while (const size_t got = ReadAt(fd, buffer, buffer.size(), report.bytes)) {
    if (check) report.checksum = XXH3_64bits_withSeed(buffer.data(), got, report.checksum);
    report.bytes += got;
    ++report.operations;
  }
  ::close(fd);
  return report;
}

Report Random(const std::string& path, uint64_t count, size_t size) {
  const int fd = OpenFile(path);
  const uint64_t blocks = SizeOf(fd) / size;
  std::vector<char> buffer(size);
  std::mt19937_64 random(1);
  Report report;
  for (; report.operations < count; ++report.operations) {
    const size_t got = ReadAt(fd, buffer, size, random() % blocks * size);
    report.checksum = XXH3_64bits_withSeed(buffer.data(), std::min<size_t>(got, 64), report.checksum);
    report.bytes += got;
  }
  ::close(fd);
  return report;
}

Report Streams(const std::string& path, uint64_t count) {
  const int fd = OpenFile(path);
  const uint64_t part = SizeOf(fd) / count;
  std::vector<char> buffer(256 * 1024);
  Report report;
  for (uint64_t offset = 0; offset < part; offset += buffer.size()) {
    for (uint64_t stream = 0; stream < count; ++stream) {
      const size_t size = std::min<uint64_t>(buffer.size(), part - offset);
      const size_t got = ReadAt(fd, buffer, size, stream * part + offset);
      report.checksum = XXH3_64bits_withSeed(buffer.data(), got, report.checksum);
      report.bytes += got;
      ++report.operations;
    }
  }
  ::close(fd);
  return report;
}

Report Small(const std::string& directory) {
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) Fail(directory);
  std::vector<char> buffer(1 << 20);
  Report report;
  while (const dirent* entry = ::readdir(stream)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = OpenFile(directory + "/" + entry->d_name);
    const size_t got = ReadAt(fd, buffer, buffer.size(), 0);
    ::close(fd);
    report.checksum += XXH3_64bits(buffer.data(), got);
    report.bytes += got;
    ++report.operations;
  }
  ::closedir(stream);
  return report;
}

uint64_t Number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 2 ? argv[1] : "";
  const auto start = std::chrono::steady_clock::now();
  Report report;
  if (mode == "sequential") {
    report = Sequential(argv[2], argc > 3 ? Number(argv[3]) : 1 << 20, argc < 5);
  } else if (mode == "random" && argc == 5) {
    report = Random(argv[2], Number(argv[3]), Number(argv[4]));
  } else if (mode == "streams" && argc == 4) {
    report = Streams(argv[2], Number(argv[3]));
  } else if (mode == "small") {
    report = Small(argv[2]);
  } else {
    std::fprintf(stderr, "usage: reader sequential|random|streams|small PATH ...\n");
    return 2;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("{\"bytes\": %" PRIu64 ", \"operations\": %" PRIu64 ", \"checksum\": \"%016" PRIx64
              "\", \"seconds\": %.9f}\n",
              report.bytes, report.operations, report.checksum, seconds.count());
  return 0;
}
