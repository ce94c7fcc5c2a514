// SPDX-License-Identifier: Apache-2.0
//
// LocalSource: a local directory as a FileSource. It stays below that directory, and it is live: nothing is remembered,
// every answer is of the moment and holds for no time at all.
//
// Symbolic links are shown as links; the kernel resolves them in the mount. One that leads to a directory can be
// entered (List, and Lookup below it): within the directory, and out of it with follow_links_out. FIFOs, sockets and
// devices are shown and never opened.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "local/path_resolver.h"
#include "s3overlay/file_source.h"

struct stat;

namespace s3overlay {

struct LocalSourceOptions {
  std::string spec = {};          // The directory as the user wrote it.
  bool follow_links_out = false;  // Enter links that lead out of the directory.
  int lane = 0;                   // Kept for symmetry with remote sources: a local call never answers kWouldBlock.
  std::string mountpoint = {};    // Absolute, without links: links into it are not followed, and it is not shown.
};

// Thread-safe. Beside the contract's errors: kSystem with the errno of the system call, kUnsupported for opening what
// is no regular file.
class LocalSource final : public FileSource {
 public:
  // Opens the directory at `path`. kNotFound, kNotADirectory, kSystem.
  static Result<std::unique_ptr<LocalSource>> Open(LocalSourceOptions options, const std::string& path);

  // `root`: the directory. Opened before a mount covers its path, it goes on leading to the files below the mount.
  LocalSource(LocalSourceOptions options, UniqueFd root);

  Result<Entry> Lookup(std::string_view path, const CallContext& context) override;
  Result<ListingPtr> List(std::string_view path, const CallContext& context) override;
  Result<std::string> ReadLink(std::string_view path, const CallContext& context) override;
  Result<std::shared_ptr<OpenFile>> Open(const Entry& entry, const CallContext& context) override;
  Result<std::optional<Entry>> LastKnown(std::string_view) const override { return std::optional<Entry>(); }
  CacheShare GetCacheShare(const Entry&) const override { return {}; }
  Result<std::vector<std::string>> ListXattr(const Entry& entry) override;
  Result<std::string> GetXattr(const Entry& entry, const std::string& name) override;
  std::optional<FileSystemSpace> GetSpace() const override;
  std::string Describe() const override { return options_.spec; }

 private:
  Result<UniqueFd> ResolveSame(const Entry& entry) const;
  Entry MakeEntry(const std::string& path, const struct stat& status) const;

  // The name of our own mountpoint, if it lies in the directory `fd`.
  std::string OwnMountIn(int fd) const;

  const LocalSourceOptions options_;
  const PathResolver resolver_;
};

}  // namespace s3overlay
