// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory_merge.h"

#include <gtest/gtest.h>

#include <string>

namespace s3overlay {
namespace {

ListedEntry Name(const std::string& name, int layer, FileType type = FileType::kRegular) {
  ListedEntry listed{.name = name, .entry = {}};
  listed.entry.attributes.type = type;
  listed.entry.layer = layer;
  listed.entry.ttl = std::chrono::seconds(60);
  return listed;
}

Listing Part(std::vector<ListedEntry> entries, int ttl_s = 60) {
  return {.entries = std::move(entries), .degraded = false, .reason = "", .ttl = std::chrono::seconds(ttl_s)};
}

std::string Text(const Listing& listing) {
  std::string text;
  for (const ListedEntry& listed : listing.entries) text += listed.name + std::to_string(listed.entry.layer);
  return text;
}

TEST(DirectoryMerge, FirstLayerWinsEachName) {
  std::vector<Listing> parts;
  parts.push_back(Part({Name("b", 0), Name("d", 0)}));
  parts.push_back(Part({Name("a", 1), Name("b", 1), Name("e", 1)}));
  parts.push_back(Part({Name("a", 2), Name("c", 2), Name("f", 2)}, 5));
  const ListingPtr merged = MergeListings(std::move(parts));
  EXPECT_EQ(Text(*merged), "a1b0c2d0e1f2");
  EXPECT_EQ(merged->ttl, std::chrono::seconds(5));
  EXPECT_FALSE(merged->degraded);
}

TEST(DirectoryMerge, LinkYieldsToADirectoryOnlyWhereItCanBeEntered) {
  ListedEntry entered = Name("in", 0, FileType::kSymlink);
  entered.entry.enterable = true;
  std::vector<Listing> parts;
  parts.push_back(Part({entered, Name("out", 0, FileType::kSymlink)}));
  parts.push_back(Part({Name("in", 1, FileType::kDirectory), Name("out", 1, FileType::kDirectory)}));
  EXPECT_EQ(Text(*MergeListings(std::move(parts))), "in1out0");
}

TEST(DirectoryMerge, DegradedNamesAreLookedUpAgain) {
  std::vector<Listing> parts;
  parts.push_back(Part({Name("a", 0)}));
  parts.push_back(Part({Name("b", 1)}));
  parts[1].degraded = true;
  parts[1].reason = "away";
  const ListingPtr merged = MergeListings(std::move(parts));
  EXPECT_TRUE(merged->degraded);
  EXPECT_EQ(merged->reason, "away");
  EXPECT_LE(merged->ttl, std::chrono::seconds(1));
  EXPECT_EQ(merged->entries[0].entry.ttl, Duration::zero());
}

}  // namespace
}  // namespace s3overlay
