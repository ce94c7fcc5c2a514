// SPDX-License-Identifier: Apache-2.0
#include "s3/version_memory.h"

#include <gtest/gtest.h>

namespace s3overlay::s3 {
namespace {

ObjectId Version(const std::string& key, const std::string& etag) {
  return {.store = "s", .bucket = "b", .key = key, .etag = etag, .version_id = {}};
}

TEST(VersionMemory, KnowsAVersionByItsEtag) {
  VersionMemory memory(10);
  memory.Record(Version("k", "e1"), "v1");
  memory.Record(Version("k", "e2"), "v2");
  EXPECT_EQ(memory.Find(Version("k", "e1"))->id, "v1");
  EXPECT_EQ(memory.Find(Version("k", "e2"))->id, "v2");
  EXPECT_FALSE(memory.Find(Version("other", "e1")));
}

TEST(VersionMemory, WhatIsNotPinnedByItsEtagOrHasNoIdIsNotKept) {
  VersionMemory memory(10);
  memory.Record(Version("k", "W/e"), "v1");
  memory.Record(Version("k", ""), "v1");
  memory.Record(Version("k", "e"), "");
  for (const char* const etag : {"W/e", "", "e"}) EXPECT_FALSE(memory.Find(Version("k", etag))) << etag;
}

TEST(VersionMemory, IsBoundedAndForgetsWhatWasReadLongestAgo) {
  VersionMemory memory(2);
  memory.Record(Version("a", "e"), "v");
  memory.Record(Version("b", "e"), "v");
  memory.Record(Version("a", "e"), "v");
  memory.Record(Version("c", "e"), "v");
  EXPECT_TRUE(memory.Find(Version("a", "e")));
  EXPECT_FALSE(memory.Find(Version("b", "e")));
  EXPECT_TRUE(memory.Find(Version("c", "e")));
}

TEST(VersionMemory, StaysSuperseded) {
  VersionMemory memory(2);
  memory.MarkSuperseded(Version("a", "e"));
  EXPECT_FALSE(memory.Find(Version("a", "e")));
  memory.Record(Version("a", "e"), "v");
  EXPECT_FALSE(memory.Find(Version("a", "e"))->superseded);
  memory.MarkSuperseded(Version("a", "e"));
  memory.Record(Version("a", "e"), "v");
  EXPECT_TRUE(memory.Find(Version("a", "e"))->superseded);
}

}  // namespace
}  // namespace s3overlay::s3
