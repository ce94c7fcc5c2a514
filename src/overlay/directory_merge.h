// SPDX-License-Identifier: Apache-2.0
//
// The union of directories: all names, the first layer winning each one. Pure.
#pragma once

#include <vector>

#include "s3overlay/file_source.h"

namespace s3overlay {

// True where a symlink of one layer gives way to a directory of another, so that the two are merged.
bool YieldsToDirectory(const Entry& link, const Entry& directory);

// `parts` in the layers' order, each sorted by name. The answer holds as long as the shortest of them, and is degraded
// if one of them is. In a degraded listing every entry has a ttl of 0: which layer serves a name while another is out
// is decided by a lookup, which knows what is cached.
ListingPtr MergeListings(std::vector<Listing> parts);

}  // namespace s3overlay
