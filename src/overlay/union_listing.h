// SPDX-License-Identifier: Apache-2.0
//
// UnionListing: what several layers say of one directory, as one listing in the overlay's terms. It holds a reference a
// name, and no entry.
#pragma once

#include <string>
#include <vector>

#include "overlay/directory_merge.h"
#include "overlay/layer.h"
#include "s3overlay/file_source.h"

namespace s3overlay {

// One layer's part of a directory.
struct ListedPart {
  const Layer* layer;
  ListingPtr listing;
  FileState state;     // Of the entries that the source itself calls fresh.
  std::string reason;  // Of that state.
  bool made;           // By the configuration, so in the overlay's terms already.
  Duration holds;      // At most: an earlier layer lacks the directory, and may have it then.
};

// Constant after construction. The layers outlive it.
class UnionListing final : public Listing {
 public:
  // `parts` in the layers' order. Where `terms` are degraded every entry has a ttl of 0: which layer serves a name
  // while another is out is decided by a lookup, which knows what is cached.
  UnionListing(std::vector<ListedPart> parts, ListingTerms terms);

  Duration ttl() const override;
  size_t size() const override { return names_.size(); }
  std::string_view NameAt(size_t index) const override;
  FileType TypeAt(size_t index) const override;
  Entry EntryAt(size_t index) const override;

 private:
  const std::vector<ListedPart> parts_;
  const std::vector<MergedName> names_;
};

}  // namespace s3overlay
