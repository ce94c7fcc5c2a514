// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory_merge.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace s3overlay {
namespace {

using Names = std::vector<MergedName>;

class Merger {
 public:
  explicit Merger(const std::vector<ListingPtr>& parts) : parts_(parts) {}

  // What an earlier part has stays before what a later one has.
  Names Merge(const Names& first, const Names& later) const {
    Names merged;
    merged.reserve(first.size() + later.size());
    auto a = first.begin();
    auto b = later.begin();
    while (a != first.end() && b != later.end()) {
      const int order = Name(*a).compare(Name(*b));
      if (order > 0) {
        merged.push_back(*b++);
        continue;
      }
      merged.push_back(order == 0 && Yields(*a, *b) ? *b : *a);
      ++a;
      if (order == 0) ++b;
    }
    std::copy(a, first.end(), std::back_inserter(merged));
    std::copy(b, later.end(), std::back_inserter(merged));
    return merged;
  }

 private:
  const Listing& PartOf(const MergedName& name) const { return *parts_[name.part]; }
  std::string_view Name(const MergedName& name) const { return PartOf(name).NameAt(name.index); }

  bool Yields(const MergedName& a, const MergedName& b) const {
    if (PartOf(a).TypeAt(a.index) != FileType::kSymlink) return false;
    return YieldsToDirectory(PartOf(a).EntryAt(a.index), PartOf(b).EntryAt(b.index));
  }

  const std::vector<ListingPtr>& parts_;
};

}  // namespace

bool YieldsToDirectory(const Entry& link, const Entry& directory) {
  return link.attributes.type == FileType::kSymlink && link.enterable &&
         directory.attributes.type == FileType::kDirectory;
}

std::vector<MergedName> MergeNames(const std::vector<ListingPtr>& parts) {
  const Merger merger(parts);
  Names merged;
  for (uint32_t part = 0; part < parts.size(); ++part) {
    Names names(parts[part]->size());
    for (uint32_t index = 0; index < names.size(); ++index) names[index] = {part, index};
    merged = merged.empty() ? std::move(names) : merger.Merge(merged, names);
  }
  return merged;
}

}  // namespace s3overlay
