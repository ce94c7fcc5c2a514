// SPDX-License-Identifier: Apache-2.0
#include "overlay/union_listing.h"

#include <algorithm>
#include <utility>

#include "overlay/outage_policy.h"

namespace s3overlay {
namespace {

std::vector<ListingPtr> ListingsOf(const std::vector<ListedPart>& parts) {
  std::vector<ListingPtr> listings;
  for (const ListedPart& part : parts) listings.push_back(part.listing);
  return listings;
}

}  // namespace

UnionListing::UnionListing(std::vector<ListedPart> parts, ListingTerms terms)
    : Listing(std::move(terms)), parts_(std::move(parts)), names_(MergeNames(ListingsOf(parts_))) {}

// As long as the shortest-lived part.
Duration UnionListing::ttl() const {
  Duration ttl = terms().degraded ? kOutageTtl : Duration::max();
  for (const ListedPart& part : parts_) ttl = std::min({ttl, part.listing->ttl(), part.holds});
  return ttl;
}

std::string_view UnionListing::NameAt(size_t index) const {
  const MergedName& name = names_[index];
  return parts_[name.part].listing->NameAt(name.index);
}

FileType UnionListing::TypeAt(size_t index) const {
  const MergedName& name = names_[index];
  return parts_[name.part].listing->TypeAt(name.index);
}

Entry UnionListing::EntryAt(size_t index) const {
  const MergedName& name = names_[index];
  const ListedPart& part = parts_[name.part];
  Entry entry = part.listing->EntryAt(name.index);
  if (!part.made) entry = part.layer->Adopt(std::move(entry));
  if (entry.state == FileState::kFresh && part.state != FileState::kFresh) {
    entry.state = part.state;
    if (entry.readable) entry.reason = part.reason;
  }
  // An earlier layer may gain the name.
  entry.ttl = std::min(entry.ttl, part.holds);
  for (size_t i = 0; i < name.part; ++i) entry.ttl = std::min(entry.ttl, parts_[i].listing->ttl());
  if (terms().degraded) entry.ttl = Duration::zero();
  return entry;
}

}  // namespace s3overlay
