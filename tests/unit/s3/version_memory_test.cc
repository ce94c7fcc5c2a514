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
  memory.Record(Version("k", "e1"), {.id = "v1"});
  memory.Record(Version("k", "e2"), {.id = "v2"});
  EXPECT_EQ(memory.Find(Version("k", "e1"))->id, "v1");
  EXPECT_EQ(memory.Find(Version("k", "e2"))->id, "v2");
  EXPECT_FALSE(memory.Find(Version("other", "e1")));
}

TEST(VersionMemory, WhatIsNotPinnedByItsEtagOrHasNoIdIsNotKept) {
  VersionMemory memory(10);
  memory.Record(Version("k", "W/e"), {.id = "v1"});
  memory.Record(Version("k", ""), {.id = "v1"});
  memory.Record(Version("k", "e"), {.id = ""});
  for (const char* const etag : {"W/e", "", "e"}) EXPECT_FALSE(memory.Find(Version("k", etag))) << etag;
}

TEST(VersionMemory, IsBoundedAndForgetsWhatWasReadLongestAgo) {
  VersionMemory memory(2);
  memory.Record(Version("a", "e"), {.id = "v"});
  memory.Record(Version("b", "e"), {.id = "v"});
  memory.Record(Version("a", "e"), {.id = "v"});
  memory.Record(Version("c", "e"), {.id = "v"});
  EXPECT_TRUE(memory.Find(Version("a", "e")));
  EXPECT_FALSE(memory.Find(Version("b", "e")));
  EXPECT_TRUE(memory.Find(Version("c", "e")));
}

TEST(VersionMemory, TheLastAnswerCounts) {
  VersionMemory memory(2);
  memory.Record(Version("a", "e"), {.id = "v1", .superseded = true});
  EXPECT_TRUE(memory.Find(Version("a", "e"))->superseded);
  memory.Record(Version("a", "e"), {.id = "v3"});  // The same bytes, put again.
  EXPECT_EQ(memory.Find(Version("a", "e"))->id, "v3");
  EXPECT_FALSE(memory.Find(Version("a", "e"))->superseded);
}

}  // namespace
}  // namespace s3overlay::s3
