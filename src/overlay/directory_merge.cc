// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory_merge.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "overlay/outage_policy.h"

namespace s3overlay {
namespace {

using Entries = std::vector<ListedEntry>;

Entries MergeTwo(Entries first, Entries later) {
  if (first.empty()) return later;
  if (later.empty()) return first;
  Entries merged;
  merged.reserve(first.size() + later.size());
  auto a = first.begin();
  auto b = later.begin();
  while (a != first.end() && b != later.end()) {
    const int order = a->name.compare(b->name);
    if (order > 0) {
      merged.push_back(std::move(*b++));
      continue;
    }
    const bool yields = order == 0 && YieldsToDirectory(a->entry, b->entry);
    merged.push_back(std::move(yields ? *b : *a));
    ++a;
    if (order == 0) ++b;
  }
  std::move(a, first.end(), std::back_inserter(merged));
  std::move(b, later.end(), std::back_inserter(merged));
  return merged;
}

}  // namespace

bool YieldsToDirectory(const Entry& link, const Entry& directory) {
  return link.attributes.type == FileType::kSymlink && link.enterable &&
         directory.attributes.type == FileType::kDirectory;
}

ListingPtr MergeListings(std::vector<Listing> parts) {
  auto merged = std::make_shared<Listing>();
  merged->ttl = Duration::max();
  for (Listing& part : parts) {
    merged->entries = MergeTwo(std::move(merged->entries), std::move(part.entries));
    merged->ttl = std::min(merged->ttl, part.ttl);
    if (part.degraded && !merged->degraded) {
      merged->degraded = true;
      merged->reason = std::move(part.reason);
    }
  }
  if (parts.empty()) merged->ttl = Duration::zero();
  if (merged->degraded) {
    merged->ttl = std::min(merged->ttl, kOutageTtl);
    for (ListedEntry& listed : merged->entries) listed.entry.ttl = Duration::zero();
  }
  return merged;
}

}  // namespace s3overlay
