// SPDX-License-Identifier: Apache-2.0
#include "remote/key_mapping.h"

#include <gtest/gtest.h>

#include "remote/directory_names.h"

namespace s3overlay {
namespace {

TEST(KeyMappingTest, PrefixMeansADirectoryWithAndWithoutSlash) {
  for (const char* prefix : {"data/set", "data/set/"}) {
    const KeyMapping mapping(prefix);
    EXPECT_EQ(mapping.prefix(), "data/set/");
    EXPECT_EQ(mapping.ObjectKey("a/b"), "data/set/a/b");
    EXPECT_EQ(mapping.DirectoryPrefix("a"), "data/set/a/");
    EXPECT_EQ(mapping.DirectoryPrefix(""), "data/set/");
  }
  EXPECT_EQ(KeyMapping("").ObjectKey("a"), "a");
  EXPECT_EQ(KeyMapping("").DirectoryPrefix(""), "");
}

TEST(KeyMappingTest, NamesThatCannotBeShown) {
  using namespace std::string_view_literals;
  for (const std::string_view name : {""sv, "."sv, ".."sv, "a\0b"sv, "a/b"sv}) EXPECT_FALSE(IsShowableName(name));
  EXPECT_FALSE(IsShowableName(std::string(256, 'n')));
  for (const std::string_view name : {"..."sv, " "sv, "\n"sv, "\xff"sv, ".a"sv}) EXPECT_TRUE(IsShowableName(name));
  EXPECT_TRUE(IsShowableName(std::string(255, 'n')));
}

ObjectMetadata Object(const std::string& key) {
  ObjectMetadata object;
  object.id.key = key;
  return object;
}

ListPage Page(std::vector<ObjectMetadata> objects, std::vector<std::string> common_prefixes = {},
              bool truncated = false) {
  ListPage page;
  page.objects = std::move(objects);
  page.common_prefixes = std::move(common_prefixes);
  page.truncated = truncated;
  return page;
}

class NamesBuilderTest : public ::testing::Test {
 protected:
  DirectoryNames Build(const ListPage& page) {
    NamesBuilder builder("d/", TimePoint(), metrics_);
    EXPECT_TRUE(builder.Add(page));
    return builder.Build();
  }

  Metrics metrics_;
};

TEST_F(NamesBuilderTest, DirectoryWinsAndTheHiddenAreCounted) {
  const DirectoryNames names =
      Build(Page({Object("d/"), Object("d/a"), Object("d/.."), Object("d/b")}, {"d//", "d/a/", "d/./"}));
  ASSERT_EQ(names.listing->size(), 2U);
  EXPECT_TRUE(names.Find("a")->is_directory());
  EXPECT_FALSE(names.Find("b")->is_directory());
  EXPECT_EQ(metrics_.Get(Metric::kKeysHidden), 4U);
}

TEST_F(NamesBuilderTest, MarkerAloneIsAnEmptyDirectoryAndNothingIsNone) {
  EXPECT_TRUE(Build(Page({Object("d/")})).exists);
  EXPECT_FALSE(Build({}).exists);
}

// "a-b" lies between "a" and "a/": a page that ends there has not said whether "a" is a directory.
TEST_F(NamesBuilderTest, PageDecidesWhatItHasPassed) {
  const DirectoryNames names = Build(Page({Object("d/a"), Object("d/a-b")}, {"d/A/"}, true));
  EXPECT_TRUE(names.Decides("A"));
  EXPECT_TRUE(names.Decides("Z"));
  EXPECT_FALSE(names.Decides("a"));
  EXPECT_FALSE(names.Decides("a-b"));
  EXPECT_FALSE(names.Find("a"));
  EXPECT_TRUE(names.Find("A"));

  const DirectoryNames past = Build(Page({Object("d/a"), Object("d/ab")}, {}, true));
  EXPECT_TRUE(past.Decides("a"));
  EXPECT_FALSE(past.Decides("ab"));
}

TEST_F(NamesBuilderTest, KeyOfAnotherDirectoryIsNoAnswer) {
  NamesBuilder builder("d/", TimePoint(), metrics_);
  EXPECT_EQ(builder.Add(Page({Object("e/a")})).error().code, ErrorCode::kBadResponse);
}

// However new their tokens are, pages that say the same names for ever are no listing.
TEST_F(NamesBuilderTest, PagesGoOn) {
  NamesBuilder builder("d/", TimePoint(), metrics_);
  EXPECT_TRUE(builder.Add(Page({Object("d/")}, {}, true)));
  EXPECT_TRUE(builder.Add(Page({Object("d/a")}, {}, true)));
  EXPECT_TRUE(builder.Add(Page({}, {}, true))) << "an empty page may come, with what it hides filtered out";
  EXPECT_TRUE(builder.Add(Page({Object("d/b")}, {}, true)));
  EXPECT_EQ(builder.Add(Page({Object("d/a"), Object("d/b")}, {}, true)).error().code, ErrorCode::kBadResponse);
}

}  // namespace
}  // namespace s3overlay
