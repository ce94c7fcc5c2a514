// SPDX-License-Identifier: Apache-2.0
//
// CacheDirectory: the files of a cache and who owns them. Layout: `format`, `lock`, `index.sqlite`, `data/xx/HASH.ext`
// and `data/dying/`. Directories are 0700 and files 0600 whatever the umask. Nothing is ever removed that is not named
// as only this cache names its files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/data_file.h"
#include "cache/object_name.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

// Where the data file of an object lies in the cache at `dir`.
std::string DataPath(const std::string& dir, const ObjectName& name, const std::string& extension);

// One owner at a time: flock(2) on `lock`, which the kernel lets go when the process ends, however it ends.
class CacheDirectory {
 public:
  static constexpr int kFormat = 2;

  struct FoundFile {
    ObjectName name;
    std::string extension;
    uint64_t inode = 0;
    uint64_t size = 0;
    uint64_t allocated = 0;  // Bytes on the medium.
    int64_t changed_ns = 0;  // FileStatus::changed_ns.
  };
  struct DyingFile {
    std::string path;
    uint64_t allocated = 0;  // Bytes on the medium.
  };

  // Makes what is missing and takes the lock. kInvalidArgument where another process owns the directory, with its pid
  // and mountpoint, and where other users may write to it; kSystem (or kNotADirectory, ...) where it cannot be made or
  // written.
  static Result<std::unique_ptr<CacheDirectory>> Open(const std::string& dir, std::string_view owner);

  // "pid 123, mountpoint /x" of the owner; nothing where nobody is.
  static std::optional<std::string> FindOwner(const std::string& dir);

  // Whether `dir` has the mark of a cache, of whatever format.
  static bool Exists(const std::string& dir);

  // What `dir` says that it is, and what this version would say; empty where it says nothing.
  static std::string FormatOf(const std::string& dir);
  static std::string ThisFormat();

  static std::string IndexPath(const std::string& dir) { return dir + "/index.sqlite"; }
  std::string IndexPath() const { return IndexPath(path_); }

  // False where the directory was written by a version that keeps its files in another way.
  bool IsOfThisFormat() const;
  Result<void> WriteFormat() const;

  // Makes the directory that a data file of this name goes into.
  Result<void> MakeParent(const ObjectName& name) const;

  // Moves a data file out of the way of its name; returns where it is now.
  Result<std::string> MoveToDying(const ObjectName& name, const std::string& extension);

  // What an earlier run has moved out of the way and could not remove yet.
  std::vector<DyingFile> FindDying() const;

  // Every data file; a name that is none of ours is skipped.
  void ForEachFile(const std::function<void(const FoundFile&)>& visit) const;

  // The index and all data files.
  void RemoveContent() const;

  // Bytes on the medium of everything that is no data file: the index and its log before all.
  uint64_t GetOverheadBytes() const;

  // False when someone removed or replaced the directory since it was opened.
  bool IsAlive() const;

 private:
  CacheDirectory(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;
  const UniqueFd lock_;
  uint64_t next_dying_ = 0;
};

}  // namespace s3overlay
