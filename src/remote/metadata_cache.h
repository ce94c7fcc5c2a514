// SPDX-License-Identifier: Apache-2.0
//
// MetadataCache: what the store has said of paths and directories, each with its date, bounded in bytes. How long an
// answer may be believed is for whoever asks to say.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "remote/directory_names.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_catalog.h"

namespace s3overlay {

// What was said of one path: an object, a directory, or (without entry) that nothing is there.
struct PathVerdict {
  std::optional<CatalogEntry> entry;
  TimePoint learned_at{};
  uint64_t sequence = 0;  // Tells the later of two verdicts of one instant.
  bool paged = false;     // By a complete listing of several pages: asking again would cost as many requests.
};

// Thread-safe. What was not used for longest goes first when the limit is reached.
class MetadataCache {
 public:
  explicit MetadataCache(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // An entry, or its absence.
  void Remember(std::string_view path, std::optional<CatalogEntry> entry, TimePoint learned_at) S3OVERLAY_EXCLUDES(mu_);
  void RememberNames(std::string_view directory, std::shared_ptr<const DirectoryNames> names) S3OVERLAY_EXCLUDES(mu_);

  // The latest word on a path, from itself or from its directory, however old.
  std::optional<PathVerdict> Find(std::string_view path) S3OVERLAY_EXCLUDES(mu_);
  // The latest word on a directory, be it a page or complete; null when nothing is known.
  std::shared_ptr<const DirectoryNames> FindNames(std::string_view directory) S3OVERLAY_EXCLUDES(mu_);

  // The last complete listing of a directory, also where a mere page is known since; null without one.
  std::shared_ptr<const DirectoryNames> FindComplete(std::string_view directory) S3OVERLAY_EXCLUDES(mu_);

  // What is known of the path alone goes; its directory's names become very old.
  void Forget(std::string_view path) S3OVERLAY_EXCLUDES(mu_);

  uint64_t bytes() const S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Names {
    std::shared_ptr<const DirectoryNames> names;
    uint64_t sequence = 0;
  };
  struct Record {
    std::string path;
    std::optional<PathVerdict> verdict;
    Names page;      // Both at a time: a listing of many pages is as old as its first one, and a page that was fetched
    Names complete;  // while it went on knows better.
    uint64_t bytes = 0;
  };
  using Records = std::list<Record>;  // Last used first.

  static const Names& LatestNames(const Record& record);
  Record* Use(std::string_view path) S3OVERLAY_REQUIRES(mu_);
  Record& Make(std::string_view path) S3OVERLAY_REQUIRES(mu_);
  void Weigh(Record& record) S3OVERLAY_REQUIRES(mu_);

  const uint64_t max_bytes_;

  mutable Mutex mu_;
  Records records_ S3OVERLAY_GUARDED_BY(mu_);
  std::unordered_map<std::string_view, Records::iterator> by_path_ S3OVERLAY_GUARDED_BY(mu_);  // Views of Record::path.
  uint64_t bytes_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  uint64_t sequence_ S3OVERLAY_GUARDED_BY(mu_) = 0;
};

}  // namespace s3overlay
