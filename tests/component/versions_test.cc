// SPDX-License-Identifier: Apache-2.0
//
// Objects and local files that change under a graph.
#include "component/graph_fixture.h"

namespace s3overlay {
namespace {

using testing::kBlock;
using Versions = testing::GraphTest;

TEST_F(Versions, AnOverwrittenObjectIsOldForItsHandleAndNewForTheNextOpen) {
  const std::string old_bytes = Put("a", 1000 * kBlock);
  const auto file = Open("a");
  EXPECT_EQ(Read(*file, 0, kBlock), old_bytes.substr(0, kBlock));
  const std::string new_bytes = Put("a", 1000 * kBlock);
  EXPECT_EQ(Read(*file, 0, kBlock), old_bytes.substr(0, kBlock)) << "what is cached goes on being served";
  LetAnswersExpire();
  EXPECT_EQ(Content("a"), new_bytes);
  EXPECT_EQ(Read(*file, 0, kBlock), old_bytes.substr(0, kBlock));
  EXPECT_EQ(Read(*file, 999 * kBlock, kBlock), "version gone");
}

// The handle has learned it: nobody has to wait for the answer to expire.
TEST_F(Versions, AHandleThatFindsItsVersionGoneTellsTheNextOpen) {
  Put("a", 1000 * kBlock);
  const auto file = Open("a");
  const std::string new_bytes = Put("a", 999 * kBlock);
  EXPECT_EQ(Read(*file, 500 * kBlock, kBlock), "version gone");
  EXPECT_EQ(Find("a").attributes.size, new_bytes.size());
  EXPECT_EQ(Content("a"), new_bytes);
}

TEST_F(Versions, ADeletedObjectGivesWayToTheLocalFile) {
  const std::string object = Put("a", 3 * kBlock);
  const std::string local = WriteLocal("a", 2 * kBlock);
  EXPECT_EQ(Content("a"), object);
  ASSERT_TRUE(IsWhollyCached("a"));
  const auto file = Open("a");
  store().Delete("b", "p/a");
  LetAnswersExpire();
  EXPECT_EQ(Find("a").state, FileState::kFallback);
  EXPECT_EQ(Content("a"), local);
  EXPECT_EQ(Read(*file, 0, 4 * kBlock), object) << "the handle has it all from the cache";
}

TEST_F(Versions, AnObjectThatAppearsTakesTheNameOver) {
  const std::string local = WriteLocal("a", 2 * kBlock);
  EXPECT_EQ(Content("a"), local);
  const auto file = Open("a");
  const std::string object = Put("a", 2 * kBlock);
  LetAnswersExpire();
  EXPECT_EQ(Find("a").state, FileState::kFresh);
  EXPECT_EQ(Content("a"), object);
  EXPECT_EQ(Read(*file, 0, 2 * kBlock), local);
}

TEST_F(Versions, VersionsOfOneSizeDoNotMixInTheCache) {
  std::string bytes;
  for (int version = 0; version < 3; ++version) {
    bytes = Put("a", 4 * kBlock);
    LetAnswersExpire();
    EXPECT_EQ(Content("a"), bytes) << version;
    ASSERT_TRUE(IsWhollyCached("a"));
  }
  const int gets = store().gets();
  Restart();
  EXPECT_EQ(Content("a"), bytes);
  EXPECT_EQ(store().gets(), gets);
}

TEST_F(Versions, AChangeIsSeenInAListingToo) {
  for (const char* path : {"d/a", "d/b"}) Put(path, 10);
  WriteLocal("d/a", 20);
  EXPECT_EQ(Names("d"), "a@0 b@0");
  store().Delete("b", "p/d/a");
  Put("d/c", 10);
  LetAnswersExpire();
  EXPECT_EQ(Names("d"), "a@1 b@0 c@0");
}

}  // namespace
}  // namespace s3overlay
