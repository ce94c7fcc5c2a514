// SPDX-License-Identifier: Apache-2.0
#include "config/machine_defaults.h"

#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "config/environment.h"
#include "config/layer_spec.h"
#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostMemory = uint64_t{512} << 20;
constexpr uint64_t kMostCache = uint64_t{100} << 30;
constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// MemTotal of proc_meminfo(5), in bytes.
uint64_t MemoryOfMachine(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string name;
  uint64_t kibibytes = 0;
  while (file >> name >> kibibytes) {
    if (name == "MemTotal:") return kibibytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnlimited;
}

// "max" and a file that is not there are no limit.
uint64_t ReadLimit(const fs::path& path) {
  std::ifstream file(path);
  uint64_t limit = 0;
  return file >> limit ? limit : kUnlimited;
}

// The least limit of a group and the groups above it, in a hierarchy mounted at `mount`.
uint64_t LimitOfGroup(const fs::path& mount, const std::string& group, const char* file) {
  uint64_t limit = ReadLimit(mount / file);
  fs::path path = mount;
  for (const fs::path& component : fs::path(group).relative_path()) {
    path /= component;
    limit = std::min(limit, ReadLimit(path / file));
  }
  return limit;
}

// Lines of /proc/self/cgroup: "0::/group" (version 2), "4:memory:/group" (version 1).
uint64_t MemoryOfControlGroup(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  uint64_t limit = kUnlimited;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) limit = std::min(limit, LimitOfGroup(root + "/sys/fs/cgroup", group, "memory.max"));
    if (controllers == "memory") {
      limit = std::min(limit, LimitOfGroup(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

// statvfs(3) of `dir`, or of the nearest directory above it that is there.
std::optional<struct statvfs> FileSystemOf(const std::string& dir) {
  struct statvfs space{};
  for (fs::path path = AbsolutePath(dir);; path = path.parent_path()) {
    if (::statvfs(path.c_str(), &space) == 0) return space;
    if (path == path.root_path()) return std::nullopt;
  }
}

uint64_t BytesTaken(const std::string& dir) {
  uint64_t blocks = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(fs::path(dir) / "data", error); !error && it != end(it);
       it.increment(error)) {
    struct stat attributes{};
    if (::lstat(it->path().c_str(), &attributes) == 0) blocks += static_cast<uint64_t>(attributes.st_blocks);
  }
  return blocks * 512;
}

std::string HomeOf(uid_t user, const Environment& environment) {
  if (std::string home = ValueOf(environment, "HOME"); home.starts_with('/')) return home;
  struct passwd entry{};
  struct passwd* found = nullptr;
  std::array<char, 4096> buffer;
  ::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? entry.pw_dir : "";  // Then it fails later, instead of trusting a shared place.
}

}  // namespace

uint64_t DefaultMemoryLimit(const std::string& root) {
  return std::min(kMostMemory, std::min(MemoryOfMachine(root), MemoryOfControlGroup(root)) / 4);
}

uint64_t DefaultCacheSize(const std::string& dir) {
  const auto space = FileSystemOf(dir);
  if (!space) return kMostCache;  // --cache-min-free still bounds it.
  return std::min(kMostCache, (uint64_t{space->f_bavail} * space->f_frsize + BytesTaken(dir)) / 2);
}

uint64_t FileSystemSize(const std::string& dir) {
  const auto space = FileSystemOf(dir);
  return space ? uint64_t{space->f_blocks} * space->f_frsize : 0;
}

std::string DefaultCacheDir(const std::string& mountpoint, const Environment& environment) {
  return DefaultCacheDir(mountpoint, environment, ::geteuid());
}

std::string DefaultCacheDir(const std::string& mountpoint, const Environment& environment, uid_t user) {
  // systemd names several with colons between them; the first is the one (systemd.exec(5)).
  const std::string given = ValueOf(environment, "CACHE_DIRECTORY");
  if (!given.empty()) return AbsolutePath(given.substr(0, given.find(':')));
  const std::string base = user == 0 ? "/var/cache" : HomeOf(user, environment) + "/.cache";
  return base + "/s3overlay/" + Hash64Hex(mountpoint);
}

}  // namespace s3overlay
