// SPDX-License-Identifier: Apache-2.0
#include "app/mount_holders.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

namespace s3overlay {
namespace {

namespace fs = std::filesystem;

bool IsBelow(const std::string& path, const std::string& mountpoint) {
  return path.starts_with(mountpoint) && (path.size() == mountpoint.size() || path[mountpoint.size()] == '/');
}

// Where a link of /proc leads, if that is below the mountpoint. Reading the link asks nothing of the mount.
std::optional<std::string> TargetBelow(const fs::path& link, const std::string& mountpoint) {
  std::error_code gone;
  const std::string target = fs::read_symlink(link, gone).string();
  if (gone || !IsBelow(target, mountpoint)) return std::nullopt;
  return target;
}

std::optional<std::string> OpenFileBelow(const fs::path& process, const std::string& mountpoint) {
  std::error_code gone;
  for (fs::directory_iterator fds(process / "fd", gone), end; !gone && fds != end; fds.increment(gone)) {
    if (const auto target = TargetBelow(fds->path(), mountpoint)) return target;
  }
  return std::nullopt;
}

std::optional<std::string> HoldOf(const fs::path& process, const std::string& mountpoint) {
  if (const auto path = TargetBelow(process / "cwd", mountpoint)) return "current directory " + *path;
  if (const auto path = TargetBelow(process / "root", mountpoint)) return "root directory " + *path;
  if (const auto path = OpenFileBelow(process, mountpoint)) return "open file " + *path;
  return std::nullopt;
}

bool IsProcess(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string NameOf(const fs::path& process) {
  std::ifstream file(process / "comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

std::vector<std::string> FindMountHolders(const std::string& mountpoint, pid_t daemon) {
  const std::set<std::string> expected = {std::to_string(::getpid()), std::to_string(daemon)};
  std::vector<std::string> holders;
  std::error_code error;
  for (fs::directory_iterator processes("/proc", error), end; !error && processes != end; processes.increment(error)) {
    const fs::path& process = processes->path();
    const std::string pid = process.filename();
    if (!IsProcess(pid) || expected.contains(pid)) continue;
    if (const auto hold = HoldOf(process, mountpoint)) {
      holders.push_back(fmt::format("process {} ({}): {}", pid, NameOf(process), *hold));
    }
  }
  return holders;
}

}  // namespace s3overlay
