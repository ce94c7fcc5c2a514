// SPDX-License-Identifier: Apache-2.0
#include "control/socket_path.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

std::string AbsolutePath(std::string_view path) {
  std::error_code no_current_directory;  // Then the path stays as it is, and no mount will be found by it.
  const std::filesystem::path absolute = std::filesystem::absolute(path, no_current_directory);
  std::string text = (absolute.empty() ? std::filesystem::path(path) : absolute).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

std::string ControlSocketPath(std::string_view mountpoint, uid_t user, std::string_view runtime_dir) {
  const std::string id = Hash64Hex(AbsolutePath(mountpoint));
  if (user == 0) return fmt::format("/run/s3overlay/{}.sock", id);
  if (runtime_dir.empty()) return fmt::format("/run/user/{}/s3overlay/{}.sock", user, id);
  return fmt::format("{}/s3overlay/{}.sock", runtime_dir, id);
}

std::string ControlSocketPath(std::string_view mountpoint) {
  const char* const runtime_dir = std::getenv("XDG_RUNTIME_DIR");
  return ControlSocketPath(mountpoint, ::geteuid(), runtime_dir != nullptr ? runtime_dir : "");
}

}  // namespace s3overlay
