// SPDX-License-Identifier: Apache-2.0
//
// KeyMapping: which path an object's key stands for below a prefix, and which keys cannot be a path at all. Pure.
//
// A prefix means the "directory" of that name, with or without its trailing slash: s3://bucket/data never shows the key
// "database".
#pragma once

#include <string>
#include <string_view>

namespace s3overlay {

// S3's limit for a key, in bytes: nothing can exist at a longer one (S3 User Guide, "Naming objects").
inline constexpr size_t kMaxKeyBytes = 1024;

class KeyMapping {
 public:
  explicit KeyMapping(std::string_view prefix);

  // Empty, or with a slash at its end.
  const std::string& prefix() const { return prefix_; }

  std::string ObjectKey(std::string_view path) const;

  // What every key below the directory `path` starts with.
  std::string DirectoryPrefix(std::string_view path) const;

 private:
  const std::string prefix_;
};

// False for what cannot be one component of a path: empty, ".", "..", longer than 255 bytes, with a NUL or a slash.
bool IsShowableName(std::string_view name);

// "a/b" of "a/b/c", "" of "a"; and "c" of "a/b/c".
std::string_view ParentPath(std::string_view path);
std::string_view LastComponent(std::string_view path);

}  // namespace s3overlay
