// SPDX-License-Identifier: Apache-2.0
//
// Listings as tests like to look at them, and to make them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "s3overlay/file_source.h"
#include "s3overlay/object_catalog.h"

namespace s3overlay::testing {

inline std::vector<ListedEntry> EntriesOf(const Listing& listing) {
  std::vector<ListedEntry> entries;
  for (size_t i = 0; i < listing.size(); ++i) {
    entries.push_back({.name = std::string(listing.NameAt(i)), .entry = listing.EntryAt(i)});
  }
  return entries;
}

inline std::vector<CatalogEntry> EntriesOf(const CatalogListing& listing) {
  std::vector<CatalogEntry> entries;
  for (size_t i = 0; i < listing.size(); ++i) entries.push_back(listing.At(i));
  return entries;
}

inline std::shared_ptr<const CatalogListing> MakeCatalogListing(const std::vector<CatalogEntry>& entries,
                                                                TimePoint learned_at) {
  CatalogListing::Builder builder;
  for (const CatalogEntry& entry : entries) builder.Add(entry.name, entry.object ? &*entry.object : nullptr);
  builder.SortAndHide();
  return builder.Build(learned_at);
}

}  // namespace s3overlay::testing
