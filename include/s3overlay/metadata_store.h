// SPDX-License-Identifier: Apache-2.0
//
// MetadataStore: what was last known of objects and directories, kept across restarts, so that a mount can start and
// serve while its store is away. cache/disk_metadata_store keeps it in SQLite.
//
// It is a memory of answers, never an authority: a catalog asks it only where the store itself could not be asked.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "s3overlay/object_catalog.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Thread-safe. `scope` names the catalog that keeps something here (store, bucket and prefix), so that several can
// share one store; paths are as in ObjectCatalog. Keep… return at once and may drop what they are given (queue full,
// disk error); Recall… read from disk.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;

  // `path` is this object or directory now.
  virtual void KeepEntry(std::string_view scope, std::string_view path, const CatalogEntry& entry) = 0;

  // The store was asked at `learned_at`, and has said that nothing is at `path`.
  virtual void KeepAbsence(std::string_view scope, std::string_view path, TimePoint learned_at) = 0;

  // These are all the names below `path`; what was kept of other names there before `listing` began is forgotten.
  virtual void KeepListing(std::string_view scope, std::string_view path,
                           std::shared_ptr<const CatalogListing> listing) = 0;

  // kUnavailable where the disk does not answer: then it is not known whether anything was.
  virtual Result<std::optional<CatalogEntry>> RecallEntry(std::string_view scope, std::string_view path) = 0;

  // Null unless the directory was once listed whole, and the disk answers.
  virtual std::shared_ptr<const CatalogListing> RecallListing(std::string_view scope, std::string_view path) = 0;
};

}  // namespace s3overlay
