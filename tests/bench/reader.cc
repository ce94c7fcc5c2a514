// SPDX-License-Identifier: Apache-2.0
//
// Reads the way a benchmark asks for and prints one JSON line: what was read, how long it took, and a checksum.
//
// Usage: reader MODE PATH [NAME=NUMBER ...]
//   sequential FILE  buffer=1048576 check=1   the whole file, front to back; check=0 looks at lengths only
//   random FILE      count=1000 size=4096 align=SIZE seed=1   preads at random offsets
//   streams FILE     count=8 buffer=262144    interleaved sequential streams through one descriptor
//   touch FILE       count=1000 seed=1        one byte each of random pages of a mapping; advise=0: the kernel is not
//                    advise=1                 told that they are random
//   first FILE       size=4096                open, then one read: the two times apart
//   files DIR        threads=1 shuffle=0      opens, reads and closes every file after one listing: in the order of
//   their
//                    limit=0                  names, as stores list them, or shuffled by that seed; at most that many
//   parts FILE       size=8388608             the checksum that s3_client makes of such ranges
//   drop PATH                                 drops the pages of a file, or of the files of a directory, from the cache
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "reader_files.h"

namespace {

using s3overlay::bench::Fail;
using s3overlay::bench::ListDirectory;
using s3overlay::bench::ReadableFile;
using s3overlay::bench::Report;
using s3overlay::bench::Stopwatch;

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 3; i < argc; ++i) {
      const std::string_view argument = argv[i];
      const size_t equals = argument.find('=');
      if (equals == std::string_view::npos) Fail(argv[i]);
      values_[std::string(argument.substr(0, equals))] = std::strtoull(argv[i] + equals + 1, nullptr, 10);
    }
  }
  uint64_t Get(const char* name, uint64_t otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }

 private:
  std::map<std::string, uint64_t> values_;
};

// XXH3 runs at memory speed, and still the native read of a warm file would be half checksum: one pass in full, and
// only lengths where the caller does not look.
Report Sequential(const std::string& path, const Arguments& arguments) {
  const ReadableFile file(path);
  std::vector<char> buffer(arguments.Get("buffer", 1 << 20));
  const bool check = arguments.Get("check", 1) != 0;
  Report report;
  while (const size_t got = file.ReadAt(buffer.data(), buffer.size(), report.bytes)) {
    if (check) report.Chain(buffer.data(), got);
    report.Count(got);
  }
  return report;
}

Report Random(const std::string& path, const Arguments& arguments) {
  const ReadableFile file(path);
  const size_t size = arguments.Get("size", 4096);
  const uint64_t align = arguments.Get("align", size);
  const uint64_t places = (file.size() - size) / align + 1;
  std::vector<char> buffer(size);
  std::mt19937_64 random(arguments.Get("seed", 1));
  Report report;
  for (uint64_t i = arguments.Get("count", 1000); i > 0; --i) {
    const size_t got = file.ReadAt(buffer.data(), size, random() % places * align);
    report.Chain(buffer.data(), std::min<size_t>(got, 64));
    report.Count(got);
  }
  return report;
}

// The longest that one stream waited in all, beside the mean: none may starve.
Report Streams(const std::string& path, const Arguments& arguments) {
  const ReadableFile file(path);
  const uint64_t count = arguments.Get("count", 8);
  const uint64_t part = file.size() / count;
  std::vector<char> buffer(arguments.Get("buffer", 256 << 10));
  std::vector<double> waited(count);
  Report report;
  for (uint64_t offset = 0; offset < part; offset += buffer.size()) {
    for (uint64_t stream = 0; stream < count; ++stream) {
      const Stopwatch watch;
      const size_t got =
          file.ReadAt(buffer.data(), std::min<uint64_t>(buffer.size(), part - offset), stream * part + offset);
      waited[stream] += watch.Seconds();
      report.Chain(buffer.data(), got);
      report.Count(got);
    }
  }
  double sum = 0;
  for (const double seconds : waited) sum += seconds;
  report.extra["slowest_to_mean"] =
      *std::max_element(waited.begin(), waited.end()) / (sum / static_cast<double>(count));
  return report;
}

Report Touch(const std::string& path, const Arguments& arguments) {
  const ReadableFile file(path);
  constexpr uint64_t kPage = 4096;
  void* const mapping = ::mmap(nullptr, file.size(), PROT_READ, MAP_SHARED, file.fd(), 0);
  if (mapping == MAP_FAILED) Fail("mmap");
  if (arguments.Get("advise", 1) != 0) ::madvise(mapping, file.size(), MADV_RANDOM);
  const volatile char* const bytes = static_cast<const char*>(mapping);
  std::mt19937_64 random(arguments.Get("seed", 1));
  Report report;
  for (uint64_t i = arguments.Get("count", 1000); i > 0; --i) {
    const char byte = bytes[random() % (file.size() / kPage) * kPage];
    report.Chain(&byte, 1);
    report.Count(1);
  }
  ::munmap(mapping, file.size());
  return report;
}

Report First(const std::string& path, const Arguments& arguments) {
  const Stopwatch watch;
  const ReadableFile file(path);
  Report report;
  report.extra["open_s"] = watch.Seconds();
  std::vector<char> buffer(arguments.Get("size", 4096));
  const size_t got = file.ReadAt(buffer.data(), buffer.size(), 0);
  report.extra["read_s"] = watch.Seconds() - report.extra["open_s"];
  report.Chain(buffer.data(), got);
  report.Count(got);
  return report;
}

void ReadFiles(const std::vector<std::string>& paths, std::atomic<size_t>& next, Report& report) {
  std::vector<char> buffer(1 << 20);
  for (size_t i = next++; i < paths.size(); i = next++) report.AddFile(ReadableFile(paths[i]), buffer);
}

Report Files(const std::string& path, const Arguments& arguments) {
  const Stopwatch watch;
  std::vector<std::string> paths = ListDirectory(path);
  const double listed = watch.Seconds();
  const uint64_t seed = arguments.Get("shuffle", 0);
  if (seed != 0) std::shuffle(paths.begin(), paths.end(), std::mt19937_64(seed));
  const uint64_t limit = arguments.Get("limit", 0);
  if (limit != 0 && limit < paths.size()) paths.resize(limit);
  std::vector<Report> reports(arguments.Get("threads", 1));
  std::vector<std::thread> threads;
  std::atomic<size_t> next = 0;
  for (Report& report : reports) threads.emplace_back([&] { ReadFiles(paths, next, report); });
  for (std::thread& thread : threads) thread.join();
  Report total;
  for (const Report& report : reports) total.Add(report);
  total.extra["list_s"] = listed;
  return total;
}

Report Parts(const std::string& path, const Arguments& arguments) {
  const ReadableFile file(path);
  std::vector<char> buffer(arguments.Get("size", 8 << 20));
  Report report;
  while (const size_t got = file.ReadAt(buffer.data(), buffer.size(), report.bytes)) {
    report.AddPart(buffer.data(), got, report.bytes);
    report.Count(got);
  }
  return report;
}

Report Drop(const std::string& path, const Arguments&) {
  struct stat attributes{};
  if (::stat(path.c_str(), &attributes) != 0) Fail(path);
  const std::vector<std::string> paths =
      S_ISDIR(attributes.st_mode) ? ListDirectory(path) : std::vector<std::string>{path};
  for (const std::string& each : paths) ReadableFile(each).DropPages();
  return {};
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void Print(const Report& report, double seconds) {
  std::printf("{\"bytes\": %" PRIu64 ", \"operations\": %" PRIu64 ", \"checksum\": \"%016" PRIx64
              "\", \"seconds\": %.9f",
              report.bytes, report.operations, report.checksum, seconds);
  for (const auto& [name, value] : report.extra) std::printf(", \"%s\": %.9f", name.c_str(), value);
  std::printf(", \"cpu_s\": %.6f}\n", CpuSeconds());
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, Report (*)(const std::string&, const Arguments&)> modes = {
      {"sequential", Sequential}, {"random", Random}, {"streams", Streams}, {"touch", Touch},
      {"first", First},           {"files", Files},   {"parts", Parts},     {"drop", Drop},
  };
  const auto mode = modes.find(argc > 2 ? argv[1] : "");
  if (mode == modes.end()) {
    std::fprintf(stderr, "usage: reader MODE PATH [NAME=NUMBER ...]; the source says which modes\n");
    return 2;
  }
  const Arguments arguments(argc, argv);
  const Stopwatch watch;
  const Report report = mode->second(argv[2], arguments);
  Print(report, watch.Seconds());
  return 0;
}
