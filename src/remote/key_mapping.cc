// SPDX-License-Identifier: Apache-2.0
#include "remote/key_mapping.h"

namespace s3overlay {
namespace {

constexpr size_t kMaxNameBytes = 255;  // NAME_MAX

std::string AsDirectory(std::string_view prefix) {
  std::string text(prefix);
  if (!text.empty() && !text.ends_with('/')) text += '/';
  return text;
}

}  // namespace

KeyMapping::KeyMapping(std::string_view prefix) : prefix_(AsDirectory(prefix)) {}

std::string KeyMapping::ObjectKey(std::string_view path) const { return prefix_ + std::string(path); }

std::string KeyMapping::DirectoryPrefix(std::string_view path) const { return prefix_ + AsDirectory(path); }

bool IsShowableName(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > kMaxNameBytes) return false;
  return name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

std::string_view ParentPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view LastComponent(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace s3overlay
