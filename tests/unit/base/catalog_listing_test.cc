// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "s3overlay/object_catalog.h"

namespace s3overlay {
namespace {

const TimePoint kLearnedAt{std::chrono::seconds(7)};

ObjectMetadata Object(const std::string& key, const std::string& etag = "5d41402abc4b2a76b9719d911017c592") {
  ObjectMetadata object;
  object.id = {.store = "https://store",
               .bucket = "bucket",
               .key = key,
               .etag = etag,
               .size = uint64_t{5} << 40,
               .version_id = "",
               .last_modified = WallTime(std::chrono::milliseconds(1'700'000'000'123))};
  object.last_modified = object.id.last_modified;
  object.storage_class = "STANDARD";
  return object;
}

void ExpectSame(const CatalogEntry& entry, const std::string& name, const ObjectMetadata& object) {
  EXPECT_EQ(entry.name, name);
  EXPECT_EQ(entry.learned_at, kLearnedAt);
  ASSERT_TRUE(entry.object) << name;
  EXPECT_EQ(entry.object->id, object.id) << name;
  EXPECT_EQ(entry.object->last_modified, object.last_modified) << name;
  EXPECT_EQ(entry.object->storage_class, object.storage_class) << name;
  EXPECT_EQ(entry.object->archived, object.archived) << name;
}

TEST(CatalogListing, GivesBackWhatWasPutInAlsoWhereItFitsNoPattern) {
  std::vector<std::pair<std::string, ObjectMetadata>> objects;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"})
    objects.emplace_back(name, Object(std::string("dir/") + name));
  objects[1].second.archived = true;
  objects[1].second.storage_class = "GLACIER";
  objects[2].second.id.version_id = "v1";
  objects[3].second.id.key = "of another/kind";
  objects[4].second.id.etag = std::string(300, 'e');
  objects[5].second.id.store = "http://another";
  objects[6].second.id.last_modified = {};
  CatalogListing::Builder builder;
  for (const auto& [name, object] : objects) builder.Add(name, &object);
  EXPECT_EQ(builder.SortAndHide(), 0U);
  const auto listing = builder.Build(kLearnedAt);
  ASSERT_EQ(listing->size(), objects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    ExpectSame(listing->At(i), objects[i].first, objects[i].second);
    EXPECT_EQ(listing->SizeAt(i), objects[i].second.id.size);
    EXPECT_EQ(listing->IsArchivedAt(i), objects[i].second.archived);
  }
}

TEST(CatalogListing, IsSortedAndADirectoryHidesAnObject) {
  CatalogListing::Builder builder;
  for (const char* name : {"b", "a", "c", "a-"}) {
    const ObjectMetadata object = Object(name);
    builder.Add(name, &object);
  }
  for (const char* name : {"a", "0"}) builder.Add(name, nullptr);
  EXPECT_EQ(builder.SortAndHide(), 1U);
  const auto listing = builder.Build(kLearnedAt);
  std::string names;
  for (size_t i = 0; i < listing->size(); ++i) {
    names.append(listing->NameAt(i)).append(listing->IsDirectoryAt(i) ? "/ " : " ");
    EXPECT_EQ(listing->At(i).is_directory(), listing->IsDirectoryAt(i));
  }
  EXPECT_EQ(names, "0/ a/ a- b c ");
  EXPECT_EQ(listing->Find("a-"), 2U);
  EXPECT_EQ(listing->Find("a."), std::nullopt);
  EXPECT_EQ(listing->Find(""), std::nullopt);
}

TEST(CatalogListing, ManyStorageClassesAreKept) {
  CatalogListing::Builder builder;
  for (int i = 100; i < 200; ++i) {
    ObjectMetadata object = Object(std::to_string(i));
    object.storage_class = "CLASS_" + std::to_string(i);
    builder.Add(std::to_string(i), &object);
  }
  const auto listing = builder.Build(kLearnedAt);
  for (int i = 100; i < 200; ++i) {
    EXPECT_EQ(listing->At(static_cast<size_t>(i - 100)).object->storage_class, "CLASS_" + std::to_string(i));
  }
}

TEST(CatalogListing, TakesAboutAHundredBytesAName) {
  CatalogListing::Builder builder;
  constexpr int kNames = 10'000;
  for (int i = 0; i < kNames; ++i) {
    const std::string name = "train-" + std::to_string(100'000 + i) + ".jsonl";
    const ObjectMetadata object = Object("datasets/of/some/depth/" + name);
    builder.Add(name, &object);
  }
  EXPECT_LE(builder.Build(kLearnedAt)->bytes(), uint64_t{100} * kNames);
}

}  // namespace
}  // namespace s3overlay
