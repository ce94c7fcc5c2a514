// SPDX-License-Identifier: Apache-2.0
//
// The state of all files of a directory at a moment, to be put back in part: in place, as tools do that restore a
// backup.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace s3overlay::testing {

class DirectorySnapshot {
 public:
  explicit DirectorySnapshot(std::filesystem::path dir) : dir_(std::move(dir)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
      if (!entry.is_regular_file()) continue;
      std::stringstream text;
      text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      files_[entry.path()] = text.str();
    }
  }

  // The files whose path has `part` in it are again what they were: also gone, where they were not there.
  void Restore(std::string_view part) const {
    const auto is_meant = [&](const std::filesystem::path& path) {
      return path.string().find(part) != std::string::npos;
    };
    std::vector<std::filesystem::path> extra;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
      if (entry.is_regular_file() && is_meant(entry.path()) && !files_.contains(entry.path())) {
        extra.push_back(entry.path());
      }
    }
    for (const std::filesystem::path& path : extra) std::filesystem::remove(path);
    for (const auto& [path, bytes] : files_) {
      if (!is_meant(path)) continue;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    }
  }

 private:
  std::filesystem::path dir_;
  std::map<std::filesystem::path, std::string> files_;
};

}  // namespace s3overlay::testing
