// SPDX-License-Identifier: Apache-2.0
#include "overlay/directory_merge.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace s3overlay {
namespace {

ListedEntry Name(const std::string& name, FileType type = FileType::kRegular) {
  ListedEntry listed{.name = name, .entry = {}};
  listed.entry.attributes.type = type;
  return listed;
}

ListingPtr Part(std::vector<ListedEntry> entries) { return std::make_shared<EntryListing>(std::move(entries)); }

// Each name with the number of its part.
std::string Merged(const std::vector<ListingPtr>& parts) {
  std::string text;
  for (const MergedName& name : MergeNames(parts)) {
    text.append(parts[name.part]->NameAt(name.index)).append(std::to_string(name.part));
  }
  return text;
}

TEST(DirectoryMerge, FirstLayerWinsEachName) {
  EXPECT_EQ(Merged({Part({Name("b"), Name("d")}), Part({Name("a"), Name("b"), Name("e")}),
                    Part({Name("a"), Name("c"), Name("f")})}),
            "a1b0c2d0e1f2");
  EXPECT_EQ(Merged({Part({}), Part({Name("a")}), Part({})}), "a1");
  EXPECT_EQ(Merged({}), "");
}

TEST(DirectoryMerge, LinkYieldsToADirectoryOnlyWhereItCanBeEntered) {
  ListedEntry entered = Name("in", FileType::kSymlink);
  entered.entry.enterable = true;
  EXPECT_EQ(Merged({Part({entered, Name("out", FileType::kSymlink)}),
                    Part({Name("in", FileType::kDirectory), Name("out", FileType::kDirectory)})}),
            "in1out0");
}

}  // namespace
}  // namespace s3overlay
