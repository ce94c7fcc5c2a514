// SPDX-License-Identifier: Apache-2.0
//
// DirectoryNames: what one or several pages of a listing say about the names of a directory, and about which names they
// say it. NamesBuilder makes it out of pages.
//
// S3 lists in byte order of keys, which puts any number of keys ("a-", "a.") between "a" and "a/". So an incomplete
// listing has decided a name only when it has passed everything that the name could still be: the name with a slash.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remote/key_mapping.h"
#include "s3overlay/metrics.h"
#include "s3overlay/object_catalog.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay {

// A value; shared and immutable once built.
struct DirectoryNames {
  std::shared_ptr<const CatalogListing> listing;  // Decided names only.
  bool complete = false;
  bool exists = false;  // Some key lies below the directory; shown or not.
  bool denied = false;  // It may not be listed: nothing is known of it.
  bool paged = false;   // The store needed more than one page, or would.
  std::string passed;   // Incomplete: everything up to here has been seen, relative to the directory.
  TimePoint learned_at{};

  bool Decides(std::string_view name) const;
  // Nothing when the directory has no such name, or it is not decided.
  std::optional<CatalogEntry> Find(std::string_view name) const;
};

// Not thread-safe; for one listing.
class NamesBuilder {
 public:
  // `directory_prefix` as in KeyMapping; `learned_at` when the first page was asked for.
  NamesBuilder(std::string directory_prefix, TimePoint learned_at, Metrics& metrics);

  // Pages in the store's order. kBadResponse for one that cannot belong to this directory.
  Result<void> Add(const ListPage& page);

  uint64_t bytes() const { return listing_.bytes(); }  // Of memory, about.

  DirectoryNames Build();

 private:
  Result<void> CheckProgress(const ListPage& page, bool had_names, const std::string& passed_before);
  Result<void> AddObject(const ObjectMetadata& object);
  Result<void> AddPrefix(const std::string& common_prefix);
  Result<std::string_view> NameIn(std::string_view key);
  void Keep(std::string_view name, const ObjectMetadata* object);

  const std::string prefix_;
  const TimePoint learned_at_;
  Metrics& metrics_;
  CatalogListing::Builder listing_;
  int pages_ = 0;
  bool exists_ = false;
  bool complete_ = false;
  std::string passed_;
};

}  // namespace s3overlay
