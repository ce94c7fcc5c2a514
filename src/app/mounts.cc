// SPDX-License-Identifier: Apache-2.0
#include "app/mounts.h"

#include <fmt/format.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace s3overlay {
namespace {

constexpr std::string_view kFileSystemType = "fuse.s3overlay";
constexpr int kMaxLinks = 40;  // As the kernel follows.

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes space, tab, newline and backslash as \NNN.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 3 < text.size() && std::all_of(&text[i + 1], &text[i + 4], IsOctal);
    if (!escaped) {
      out += text[i];
      continue;
    }
    out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return out;
}

// "rw,user_id=0,group_id=0,default_permissions": options of the file system itself.
uid_t UserIn(std::string_view options) {
  constexpr std::string_view kName = "user_id=";
  const size_t at = options.find(kName);
  uid_t user = 0;
  if (at != std::string_view::npos) {
    const std::string_view value = options.substr(at + kName.size());
    std::from_chars(value.data(), value.data() + value.size(), user);
  }
  return user;
}

std::optional<MountedOverlay> ParseLine(const std::string& line) {
  std::istringstream stream(line);
  const std::vector<std::string> fields{std::istream_iterator<std::string>(stream), {}};
  const auto separator = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 5 || fields.end() - separator < 4 || separator[1] != kFileSystemType) return std::nullopt;
  return MountedOverlay{
      .mountpoint = Unescape(fields[4]), .source = Unescape(separator[2]), .user = UserIn(separator[3])};
}

std::optional<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (real == nullptr) return std::nullopt;
  return real.get();
}

std::string Absolute(const std::string& path) {
  std::error_code no_current_directory;  // Then the path stays as it is, and nothing is found by it.
  const auto absolute = std::filesystem::absolute(path, no_current_directory);
  std::string text = absolute.empty() ? path : absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

// The path with its last component, where that is a link, replaced by what the link leads to.
std::string FollowLastLink(std::string path) {
  std::array<char, PATH_MAX> target{};
  for (int i = 0; i < kMaxLinks; ++i) {
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    if (size < 0) break;
    const std::filesystem::path link(std::string(target.data(), static_cast<size_t>(size)));
    path = Absolute(std::filesystem::path(path).parent_path() / link);
  }
  return path;
}

std::optional<PathInMount> LocateAbsolute(const std::string& path) {
  std::optional<PathInMount> found;
  for (const MountedOverlay& mount : FindMounts()) {
    const std::string& root = mount.mountpoint;
    const bool below = path == root || (path.starts_with(root) && path[root.size()] == '/');
    if (!below || (found && found->mountpoint.size() > root.size())) continue;
    found = PathInMount{.mountpoint = root, .path = path.substr(std::min(path.size(), root.size() + 1))};
  }
  return found;
}

}  // namespace

std::vector<MountedOverlay> ParseMountInfo(std::string_view text) {
  std::vector<MountedOverlay> mounts;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    if (auto mount = ParseLine(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<MountedOverlay> FindMounts() {
  std::ifstream file("/proc/self/mountinfo");
  return ParseMountInfo(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::optional<PathInMount> LocateInMounts(const std::string& path) {
  // By the text first: a mount that hangs is not asked where it is.
  if (auto found = LocateAbsolute(Absolute(path))) return found;
  const auto canonical = CanonicalPath(path);
  return canonical ? LocateAbsolute(*canonical) : std::nullopt;
}

Result<std::string> CanonicalPath(const std::string& path) {
  if (path.empty()) return Error{.code = ErrorCode::kInvalidArgument, .message = "the path is empty"};
  const std::filesystem::path absolute = FollowLastLink(Absolute(path));
  if (!absolute.has_filename()) return absolute.string();
  const auto parent = RealPath(absolute.parent_path());
  if (!parent) return SystemError(errno, absolute.parent_path().string());
  return (std::filesystem::path(*parent) / absolute.filename()).string();
}

std::optional<MountedOverlay> FindMountAt(const std::string& canonical_path) {
  std::optional<MountedOverlay> found;
  for (MountedOverlay& mount : FindMounts()) {
    if (mount.mountpoint == canonical_path) found = std::move(mount);
  }
  return found;
}

Result<void> CheckMayUnmount(const MountedOverlay& mount, uid_t user) {
  if (user == 0 || user == mount.user) return {};
  return Error{.code = ErrorCode::kDenied,
               .message = fmt::format("{} was mounted by the user with uid {}: only they and root may unmount it",
                                      mount.mountpoint, mount.user)};
}

bool IsOverlayMount(const std::string& canonical_path) { return FindMountAt(canonical_path).has_value(); }

bool IsDeadMount(const std::string& canonical_path) {
  struct statfs space{};  // The one request that a live daemon answers without asking its store.
  if (::statfs(canonical_path.c_str(), &space) == 0) return false;
  return errno == ENOTCONN || errno == ECONNABORTED;  // The latter while the daemon is just ending.
}

}  // namespace s3overlay
