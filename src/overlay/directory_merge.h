// SPDX-License-Identifier: Apache-2.0
//
// The union of directories: all names, the first layer winning each one. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "s3overlay/file_source.h"

namespace s3overlay {

// True where a symlink of one layer gives way to a directory of another, so that the two are merged.
bool YieldsToDirectory(const Entry& link, const Entry& directory);

// A name of the union: which part has it, and where.
struct MergedName {
  uint32_t part = 0;
  uint32_t index = 0;
};

// `parts` in the layers' order. The names of the union, sorted; entries are made only where a name may have to yield.
std::vector<MergedName> MergeNames(const std::vector<ListingPtr>& parts);

}  // namespace s3overlay
