// SPDX-License-Identifier: Apache-2.0
#include "fuse/mounts_within.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

namespace s3overlay {
namespace {

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// mountinfo writes white space and backslashes as a backslash and three octal digits.
std::string Unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped =
        text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) && IsOctal(text[i + 3]);
    if (!escaped) {
      plain.push_back(text[i]);
      continue;
    }
    plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
    i += 3;
  }
  return plain;
}

struct MountLine {
  int id = 0;
  int parent = 0;
  std::string device;
  std::string root;   // The directory of the file system that is shown.
  std::string point;  // Where, in the name space.
};

std::optional<MountLine> ParseLine(const std::string& line) {
  MountLine mount;
  std::istringstream fields(line);
  if (!(fields >> mount.id >> mount.parent >> mount.device >> mount.root >> mount.point)) return std::nullopt;
  mount.root = Unescape(mount.root);
  mount.point = Unescape(mount.point);
  return mount;
}

// What follows `directory` in `path`, with its slash; nothing where it does not lie below.
std::optional<std::string> Below(const std::string& path, const std::string& directory) {
  if (directory == "/") return path;
  if (!path.starts_with(directory + "/")) return std::nullopt;
  return path.substr(directory.size());
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

std::set<std::string> ParseMountsWithin(std::string_view mountinfo, std::string_view device) {
  std::map<int, MountLine> ours;
  std::vector<MountLine> all;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    auto mount = ParseLine(line);
    if (!mount) continue;
    if (mount->device == device) ours.emplace(mount->id, *mount);
    all.push_back(*std::move(mount));
  }
  std::set<std::string> within;
  for (const MountLine& mount : all) {
    const auto parent = ours.find(mount.parent);
    if (parent == ours.end()) continue;
    const auto below = Below(mount.point, parent->second.point);
    if (!below) continue;
    const std::string path = (parent->second.root == "/" ? "" : parent->second.root) + *below;
    within.insert(path.substr(1));
  }
  return within;
}

std::set<std::string> MountsWithin(std::string_view device) {
  std::set<std::string> within;
  std::set<std::string> seen;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator("/proc", error); !error && at != end(at); at.increment(error)) {
    // Processes come and go, and some may not be looked at: what cannot be read is not there.
    std::error_code hidden;
    const std::string space = std::filesystem::read_symlink(at->path() / "ns/mnt", hidden).string();
    if (hidden || seen.contains(space)) continue;
    const std::string text = ReadText(at->path() / "mountinfo");
    if (text.empty()) continue;
    seen.insert(space);
    within.merge(ParseMountsWithin(text, device));
  }
  return within;
}

}  // namespace s3overlay
