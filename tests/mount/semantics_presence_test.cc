// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md: who answers for a path while the store is well (rows 01, 02, 10, 15, 17 to 20).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>

#include "mount/semantics_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::ElementsAre;

TEST_F(Semantics, Row01_TheObjectIsReadWhateverIsLocal) {
  const std::string object = Pattern(300 * kKiB + 7);
  Put("dir/a.jsonl", object);
  WriteLocal("dir/a.jsonl", "local");
  MountBoth();
  EXPECT_TRUE(Holds(At("dir/a.jsonl"), object));
  EXPECT_EQ(StatOf(At("dir/a.jsonl")).st_size, static_cast<off_t>(object.size()));
  EXPECT_EQ(State("dir/a.jsonl"), "fresh");
  EXPECT_EQ(Provenance(At("dir/a.jsonl"), "source"), SourceOf("dir/a.jsonl"));
  EXPECT_EQ(Provenance(At("dir/a.jsonl"), "etag").size(), 32U);
}

TEST_F(Semantics, Row01_AnEmptyObjectWinsToo) {
  Put("empty", "");
  WriteLocal("empty", "not empty");
  MountBoth();
  EXPECT_TRUE(Holds(At("empty"), ""));
  EXPECT_EQ(State("empty"), "fresh");
}

TEST_F(Semantics, Row02_WhatS3LacksIsTheLocalFile) {
  Put("other", "in S3");
  WriteLocal("dir/b.jsonl", "local only");
  MountBoth();
  EXPECT_TRUE(Holds(At("dir/b.jsonl"), "local only"));
  EXPECT_EQ(State("dir/b.jsonl"), "fallback");
  EXPECT_EQ(Provenance(At("dir/b.jsonl"), "source"), LocalDirectory() + "/dir/b.jsonl");
}

TEST_F(Semantics, Row02_TheNextS3LayerComesBeforeTheLocalFile) {
  bucket().Put("raw/a", "raw");
  WriteLocal("a", "local");
  MountWith({"s3://" + bucket().name() + "/processed", "s3://" + bucket().name() + "/raw", LocalDirectory()});
  EXPECT_TRUE(Holds(At("a"), "raw"));
  EXPECT_EQ(State("a"), "fallback");
}

TEST_F(Semantics, Row10_WhatNobodyHasIsNotThere) {
  Put("dir/a", "a");
  MountBoth();
  EXPECT_EQ(StatError(At("missing")), ENOENT);
  EXPECT_EQ(OpenError(At("dir/missing")), ENOENT);
  EXPECT_EQ(ListNames(At("missing")).error, ENOENT);
  EXPECT_EQ(StatError(At("dir/a/below-a-file")), ENOTDIR);
}

TEST_F(Semantics, Row10_AbsenceIsRememberedForItsTime) {
  MountStore({"--negative-ttl", "300s", "--metadata-ttl", "300s"});
  ASSERT_EQ(StatError(At("missing")), ENOENT);
  const int asked = proxy().Count("");
  for (int i = 0; i < 20; ++i) ASSERT_EQ(StatError(At("missing")), ENOENT);
  EXPECT_EQ(proxy().Count(""), asked);
}

TEST_F(Semantics, Row10_AndNoLonger) {
  MountStore();
  ASSERT_EQ(StatError(At("late")), ENOENT);
  Put("late", "here now");
  EXPECT_TRUE(Eventually([&] { return StatError(At("late")) == 0; }));
  EXPECT_TRUE(Holds(At("late"), "here now"));
}

TEST_F(Semantics, Row10_ALocalDirectoryMayGainTheNameAtAnyTime) {
  MountBoth({"--negative-ttl", "300s", "--metadata-ttl", "300s"});
  ASSERT_EQ(StatError(At("new")), ENOENT);
  WriteLocal("new", "local");
  EXPECT_TRUE(Holds(At("new"), "local"));
  EXPECT_EQ(State("new"), "fallback");
}

TEST_F(Semantics, Row15_ADirectoryHasTheNamesOfAllLayers) {
  bucket().Put("one/dir/a", "a of one");
  bucket().Put("one/dir/both", "both of one");
  bucket().Put("one/dir/kind/file", "a directory in one");
  bucket().Put("two/dir/b", "b of two");
  bucket().Put("two/dir/both", "both of two");
  bucket().Put("two/dir/kind", "a file in two");
  WriteLocal("dir/both", "both, local");
  WriteLocal("dir/c", "c, local");
  const std::string store = "s3://" + bucket().name();
  MountWith({store + "/one", store + "/two", LocalDirectory()});
  EXPECT_THAT(ListNames(At("")).names, ElementsAre("dir"));
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("a", "b", "both", "c", "kind"));
  EXPECT_TRUE(Holds(At("dir/both"), "both of one"));
  EXPECT_TRUE(Holds(At("dir/b"), "b of two"));
  EXPECT_TRUE(Holds(At("dir/c"), "c, local"));
  EXPECT_TRUE(Holds(At("dir/kind/file"), "a directory in one"));
}

TEST_F(Semantics, Row15_AListingIsCompleteBeforeItsFirstName) {
  constexpr size_t kNames = 1'100;  // Of two pages.
  std::vector<std::future<void>> puts;
  for (size_t worker = 0; worker < 4; ++worker) {
    puts.push_back(std::async(std::launch::async, [&, worker] {
      for (size_t i = worker; i < kNames; i += 4) Put("many/" + std::to_string(10'000 + i), "x");
    }));
  }
  for (std::future<void>& put : puts) put.get();
  MountStore({"--op-timeout", "2s"});
  proxy().AddRule({.operation = "LIST",
                   .target_part = "continuation-token",
                   .fault = {.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")}});
  const NamesOutcome cut = ListNames(At("many"));
  EXPECT_THAT(cut.names, ::testing::IsEmpty());
  EXPECT_THAT(cut.error, ::testing::AnyOf(EIO, ETIMEDOUT));
  proxy().ClearRules();
  EXPECT_TRUE(Eventually([&] { return ListNames(At("many")).error == 0; }));
  EXPECT_EQ(ListNames(At("many")).names.size(), kNames);
}

TEST_F(Semantics, Row17_OfAFileAndADirectoryOfOneNameTheDirectoryIsShown) {
  Put("a", "hidden");
  Put("a/b", "shown");
  Put("a-between", "sorts between the two");
  MountStore();
  EXPECT_THAT(ListNames(At("")).names, ElementsAre("a", "a-between"));
  EXPECT_TRUE(S_ISDIR(StatOf(At("a")).st_mode));
  EXPECT_TRUE(Holds(At("a/b"), "shown"));
  EXPECT_THAT(mount().Status().dump(), ::testing::ContainsRegex("\"keys_hidden\":[1-9]"));
}

TEST_F(Semantics, Row18_KeysThatAreNoPathsAreNeverShown) {
  const std::string longest(255, 'n');
  for (const std::string& key : {std::string("d/ok"), "d/" + longest, "d/" + longest + "n", std::string("d//empty"),
                                 std::string("d/./dot"), std::string("d/../dots"), std::string("d/NUL")}) {
    Put(key, "x");
  }
  // No store takes a key with a NUL from everybody, so this one is put into the listing.
  proxy().AddRule({.operation = "LIST", .fault = {.rewrite = [](HttpMessage& answer) {
                                          const size_t at = answer.body.find("NUL</Key>");
                                          if (at != std::string::npos) answer.body.replace(at, 3, "n%00l");
                                        }}});
  MountStore();
  EXPECT_THAT(ListNames(At("")).names, ElementsAre("d"));
  EXPECT_THAT(ListNames(At("d")).names, ElementsAre(longest, "ok"));
  EXPECT_TRUE(Holds(At("d/ok"), "x"));
  EXPECT_TRUE(Holds(At("d/" + longest), "x"));
  EXPECT_EQ(StatError(At("d/empty")), ENOENT);
  EXPECT_EQ(StatError(At("dots")), ENOENT);
  EXPECT_EQ(StatError(At("d/n")), ENOENT);
  EXPECT_EQ(StatError(At("d/NUL")), ENOENT);
  EXPECT_THAT(mount().Status().dump(), ::testing::ContainsRegex("\"keys_hidden\":[1-9]"));
}

TEST_F(Semantics, Row19_ALocalLinkIsResolvedInTheMount) {
  Put("target", "of S3");
  WriteLocal("target", "local");
  WriteLocal("dir/file", "in a directory");
  std::filesystem::create_symlink("target", LocalDirectory() + "/link");
  std::filesystem::create_symlink("dir", LocalDirectory() + "/to-dir");
  std::filesystem::create_symlink("nowhere", LocalDirectory() + "/dangling");
  MountBoth();
  EXPECT_TRUE(S_ISLNK(StatOf(At("link")).st_mode));
  EXPECT_EQ(std::filesystem::read_symlink(At("link")), "target");
  EXPECT_TRUE(Holds(At("link"), "of S3"));
  EXPECT_TRUE(Holds(At("to-dir/file"), "in a directory"));
  EXPECT_EQ(OpenError(At("dangling")), ENOENT);
  EXPECT_TRUE(S_ISLNK(StatOf(At("dangling")).st_mode));
}

TEST_F(Semantics, Row19_ALinkToADirectoryIsMergedWithTheDirectoriesOfItsName) {
  Put("raw/in-S3", "of S3");
  WriteLocal("raw-v2/local", "behind the link");
  std::filesystem::create_symlink("raw-v2", LocalDirectory() + "/raw");
  for (const bool local_first : {false, true}) {
    MountWith(local_first ? std::vector{LocalDirectory(), S3Layer()} : std::vector{S3Layer(), LocalDirectory()});
    EXPECT_TRUE(S_ISDIR(StatOf(At("raw")).st_mode)) << local_first;
    EXPECT_THAT(ListNames(At("raw")).names, ElementsAre("in-S3", "local")) << local_first;
    EXPECT_TRUE(Holds(At("raw/in-S3"), "of S3")) << local_first;
    EXPECT_TRUE(Holds(At("raw/local"), "behind the link")) << local_first;
  }
}

TEST_F(Semantics, Row19_WhatLiesOutsideTheLayerIsHiddenAndTheLogSaysSo) {
  PutALinkThatLeadsOut();
  MountBoth();
  EXPECT_THAT(ListNames(At("raw")).names, ElementsAre("in-S3"));
  EXPECT_EQ(StatError(At("raw/outside")), ENOENT);
  ASSERT_EQ(ListNames(At("raw")).error, 0);
  EXPECT_EQ(sandbox().CountLogLines({"/raw: a link leads out of this layer", "--local-follow"}), 1);
}

TEST_F(Semantics, Row19_LocalFollowMergesThatToo) {
  PutALinkThatLeadsOut();
  MountBoth({"--local-follow"});
  EXPECT_THAT(ListNames(At("raw")).names, ElementsAre("in-S3", "outside"));
  EXPECT_TRUE(Holds(At("raw/outside"), "beside the layer"));
  EXPECT_TRUE(Holds(At("raw/in-S3"), "of S3"));
}

TEST_F(Semantics, Row20_ALocalFileIsLive) {
  WriteLocal("live", "first");
  MountBoth({"--metadata-ttl", "300s"});
  ASSERT_TRUE(Holds(At("live"), "first"));
  const UniqueFd open(::open(At("live").c_str(), O_RDONLY | O_CLOEXEC));
  std::ofstream(LocalDirectory() + "/live", std::ios::in) << "SECOND, and longer";  // In place: the same inode.
  EXPECT_EQ(StatOf(At("live")).st_size, 18);
  EXPECT_TRUE(Holds(At("live"), "SECOND, and longer"));
  EXPECT_TRUE(SameBytes(ReadAt(open.get(), 0, 6), "SECOND"));
  ASSERT_EQ(::truncate((LocalDirectory() + "/live").c_str(), 3), 0);
  EXPECT_TRUE(Holds(At("live"), "SEC"));
}

}  // namespace
}  // namespace s3overlay::testing
