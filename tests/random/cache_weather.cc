// SPDX-License-Identifier: Apache-2.0
#include "random/cache_weather.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {
namespace {

constexpr uint64_t kSlowDisk = 1 << 20;  // Bytes a second.

bool WasLent(const std::filesystem::path& file) {
  return ::getxattr(file.c_str(), "user.s3overlay.lent", nullptr, 0) >= 0;
}

void TurnBytes(const std::filesystem::path& file, uint64_t offset) {
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  std::array<char, 64> bytes{};
  const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (got <= 0) return;
  for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x5a);
  (void)!::pwrite(fd.get(), bytes.data(), static_cast<size_t>(got), static_cast<off_t>(offset));
}

// A daemon may take them away meanwhile.
std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  for (std::filesystem::recursive_directory_iterator entry(directory, problem), end; !problem && entry != end;) {
    if (std::error_code gone; entry->is_regular_file(gone)) files.push_back(entry->path());
    entry.increment(problem);
  }
  return files;
}

std::string Directory(const std::string& path) {
  std::filesystem::create_directory(path);
  return path;
}

}  // namespace

CacheWeather::CacheWeather(Sandbox& sandbox, Findings& findings, std::mt19937_64& random)
    : sandbox_(sandbox),
      findings_(findings),
      random_(random),
      on_faulty_disk_(Directory(sandbox.dir() / "cache-on-faulty-disk")),
      disk_(Directory(sandbox.dir() / "faulty-disk"), on_faulty_disk_),
      cache_(sandbox.cache()) {}

const std::string& CacheWeather::ChooseCache() {
  cache_ = Below(3) == 0 ? on_faulty_disk_ : sandbox_.cache();
  return cache_;
}

// What is unlinked on a FUSE server can be opened by nobody, and the kernel opens anew what it passes through: there it
// would fail as its disk does.
void CacheWeather::Disturb() {
  const uint64_t dice = Below(10);
  if (dice < 7) {
    findings_.NoteAll("cache", "the kernel's caches are dropped");
    std::ofstream("/proc/sys/vm/drop_caches") << 1 + Below(3);
  } else if (dice < 9 || cache_ == on_faulty_disk_) {
    findings_.NoteAll("cache", "cache clear");
    sandbox_.Run({"cache", "clear", "--cache-dir", cache_});
  } else {
    findings_.NoteAll("cache", "the cache is removed");
    std::error_code ignored;
    std::filesystem::remove_all(cache_, ignored);
  }
}

void CacheWeather::Damage() {
  for (const std::filesystem::path& file : FilesBelow(cache_ + "/data")) {
    if (WasLent(file) || Below(2) == 0) continue;
    std::error_code gone;
    const uint64_t size = std::filesystem::file_size(file, gone);
    if (gone) continue;
    findings_.NoteAll("cache", "damages " + file.filename().string());
    for (int spots = 0; spots < 8; ++spots) TurnBytes(file, Below(size + 1));
  }
}

uint64_t CacheWeather::CountLent() const {
  const auto files = FilesBelow(cache_ + "/data");
  return static_cast<uint64_t>(std::count_if(files.begin(), files.end(), WasLent));
}

void CacheWeather::BreakDisk() {
  struct DiskFault {
    const char* name;
    void (*begin)(FaultyDisk& disk);
  };
  constexpr std::array<DiskFault, 6> kFaults = {
      {{"fails to read", [](FaultyDisk& disk) { disk.FailReads(EIO); }},
       {"fails to write", [](FaultyDisk& disk) { disk.FailWrites(EIO); }},
       {"is full", [](FaultyDisk& disk) { disk.FailWrites(ENOSPC); }},
       {"loses what it was given", [](FaultyDisk& disk) { disk.LoseWritesAtSync(true); }},
       {"is slow", [](FaultyDisk& disk) { disk.LimitRate(kSlowDisk); }},
       {"hangs", [](FaultyDisk& disk) { disk.Hang(); }}}};
  if (cache_ != on_faulty_disk_) return;
  const DiskFault& fault = kFaults.at(Below(kFaults.size()));
  findings_.NoteAll("disk", fault.name);
  fault.begin(disk_);
}

void CacheWeather::HealDisk() {
  disk_.Heal();
  if (cache_ == on_faulty_disk_) findings_.NoteAll("disk", "works");
}

}  // namespace s3overlay::testing
