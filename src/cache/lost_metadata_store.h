// SPDX-License-Identifier: Apache-2.0
//
// LostMetadataStore: in the place of a memory that is there and could not be opened, for it may have known anything.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "s3overlay/metadata_store.h"

namespace s3overlay {

// Thread-safe.
class LostMetadataStore final : public MetadataStore {
 public:
  void KeepEntry(std::string_view, std::string_view, const CatalogEntry&) override {}
  void KeepAbsence(std::string_view, std::string_view, TimePoint) override {}
  void KeepListing(std::string_view, std::string_view, std::shared_ptr<const CatalogListing>) override {}
  Result<std::optional<CatalogEntry>> RecallEntry(std::string_view, std::string_view) override {
    return Error{ErrorCode::kUnavailable, "the cache could not open what was last known"};
  }
  std::shared_ptr<const CatalogListing> RecallListing(std::string_view, std::string_view) override { return nullptr; }
};

}  // namespace s3overlay
