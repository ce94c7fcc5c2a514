// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md: what a path means while the store cannot be reached (rows 03 to 06, and 16).
#include <gmock/gmock.h>

#include "mount/semantics_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;

TEST_F(Semantics, Row03_AnObjectInTheCacheIsServedStale) {
  const std::string object = Pattern(3 * kMiB + 5);
  Put("a", object);
  WriteLocal("a", Pattern(object.size(), 2));
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  proxy().SetStore(Store::kRefused);
  EXPECT_TRUE(ComesToState("a", "stale"));
  EXPECT_TRUE(Holds(At("a"), object));
  EXPECT_NE(Provenance(At("a"), "reason"), "");
}

TEST_F(Semantics, Row03_ByAMountThatStartsInTheOutageToo) {
  const std::string object = Pattern(700 * kKiB);
  Put("dir/a", object);
  MountStore();
  ASSERT_TRUE(Holds(At("dir/a"), object));
  ASSERT_TRUE(ComesToCache("dir/a"));
  Unmount();
  proxy().SetStore(Store::kRefused);
  MountStore();
  EXPECT_TRUE(Holds(At("dir/a"), object));
  EXPECT_EQ(State("dir/a"), "stale");
}

TEST_F(Semantics, Row03_AndFreshAgainWhenTheStoreIsBack) {
  Put("a", "first");
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), "first"));
  ASSERT_TRUE(ComesToCache("a"));
  proxy().SetStore(Store::kHangsUp);
  ASSERT_TRUE(ComesToState("a", "stale"));
  Put("a", "second");
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(ComesToState("a", "fresh"));
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), "second")); }));
}

TEST_F(Semantics, Row04_CachedBlocksAreServedAndAMissingOneIsAnError) {
  const std::string object = PutAndCacheTheMiddle("a");
  proxy().SetStore(Store::kRefused);
  ASSERT_TRUE(ComesToState("a", "stale"));
  EXPECT_TRUE(SameBytes(ReadDirect(At("a"), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  EXPECT_EQ(ReadDirect(At("a"), 0, kBlock).error, EIO);
}

TEST_F(Semantics, Row04_AHandleThatWasOpenGoesOnLikewise) {
  const std::string object = PutAndCacheTheMiddle("a");
  const UniqueFd fd = OpenDirect(At("a"));
  proxy().SetStore(Store::kRefused);
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  EXPECT_EQ(ReadAt(fd.get(), 0, kBlock).error, EIO);
}

TEST_F(Semantics, Row05_OfUnknownSizeTheLocalFileStandsInUntilTheStoreIsBack) {
  Put("a", "in S3");
  WriteLocal("a", "local");
  proxy().SetStore(Store::kRefused);
  MountBoth();
  EXPECT_TRUE(Holds(At("a"), "local"));
  EXPECT_EQ(State("a"), "degraded");
  EXPECT_NE(Provenance(At("a"), "reason"), "");
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(ComesToState("a", "fresh"));
  EXPECT_TRUE(Holds(At("a"), "in S3"));
}

TEST_F(Semantics, Row05_ALocalFileOfAnotherSizeDoesNotStandIn) {
  MountThenCutOff("fallback");
  ASSERT_TRUE(ComesToState("same", "degraded"));
  EXPECT_TRUE(Holds(At("same"), "my bytes"));
  EXPECT_TRUE(ComesToError("other", EIO));
}

TEST_F(Semantics, Row05_WithAnyItDoes) {
  MountThenCutOff("any");
  ASSERT_TRUE(ComesToState("other", "degraded"));
  EXPECT_TRUE(Holds(At("other"), "local"));
  EXPECT_TRUE(ComesToState("same", "degraded"));
}

TEST_F(Semantics, Row05_WithErrorNothingDoes) {
  MountThenCutOff("error");
  EXPECT_TRUE(ComesToError("same", EIO));
  EXPECT_TRUE(ComesToError("other", EIO));
  EXPECT_EQ(ReadWhole(At("same")).bytes, "");
}

TEST_F(Semantics, Row06_WithNothingToStandInAnOutageIsAnErrorAndNoAbsence) {
  Put("known", "in S3");
  MountBoth();
  ASSERT_EQ(StatError(At("known")), 0);
  proxy().SetStore(Store::kRefused);
  EXPECT_TRUE(ComesToError("known", EIO));
  // What a listing has shown to be absent is so until that is a second old.
  EXPECT_TRUE(Eventually([&] { return StatError(At("never-asked-for")) == EIO; }));
  EXPECT_EQ(StatError(At("never-asked-for")), EIO);
  EXPECT_EQ(StatError(At("dir/never-asked-for")), EIO);
}

TEST_F(Semantics, Row06_AnswersOfABrokenServerAreAnOutage) {
  Put("a", "in S3");
  MountStore();
  proxy().AddRule({.fault = {.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")}});
  EXPECT_EQ(StatError(At("a")), EIO);
  proxy().ClearRules();
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), "in S3")); }));
}

TEST_F(Semantics, Row06_ASilentStoreIsATimeOut) {
  Put("a", Pattern(kBlock));
  MountStore({"--op-timeout", "3s"});
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  proxy().SetStore(Store::kSilent);
  EXPECT_THAT(ReadAt(fd.get(), 0, kBlock).error, AnyOf(ETIMEDOUT, EIO));
  EXPECT_THAT(StatError(At("unknown")), AnyOf(ETIMEDOUT, EIO));
}

TEST_F(Semantics, Row16_ALayerThatCannotListGivesItsLastKnownNames) {
  Put("dir/a", "a");
  Put("dir/b", "b");
  WriteLocal("dir/c", "c");
  MountBoth();
  ASSERT_THAT(ListNames(At("dir")).names, ElementsAre("a", "b", "c"));
  proxy().SetStore(Store::kRefused);
  ASSERT_TRUE(ComesToState("dir/c", "degraded"));
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("a", "b", "c"));
  Unmount();
  MountBoth();
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("a", "b", "c"));
}

TEST_F(Semantics, Row16_WithoutThemTheOtherLayersNamesAndNoWordOfAbsence) {
  Put("dir/a", "a");
  WriteLocal("dir/c", "c");
  proxy().SetStore(Store::kRefused);
  MountBoth();
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("c"));
  EXPECT_EQ(StatError(At("dir/a")), EIO);
  EXPECT_EQ(State("dir/c"), "degraded");
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(Eventually([&] { return ListNames(At("dir")).names == std::vector<std::string>{"a", "c"}; }));
}

TEST_F(Semantics, Row16_NeverAListingCutInTheMiddle) {
  for (int i = 0; i < 3; ++i) Put("dir/" + std::to_string(i), "x");
  WriteLocal("dir/local", "x");
  MountBoth();
  proxy().AddRule({.operation = "LIST", .target_part = "dir", .fault = {.rewrite = [](HttpMessage& answer) {
                                                                answer.body.resize(answer.body.size() / 2);
                                                              }}});
  EXPECT_THAT(ListNames(At("dir")).names, AnyOf(ElementsAre("local"), ElementsAre("0", "1", "2", "local")));
}

// The store answers everything else, so its breaker stays closed.
TEST_F(Semantics, Row16_APageThatTakesTooLongIsAnOutageWhereAnotherLayerHasNames) {
  Put("dir/a", "a");
  WriteLocal("dir/c", "c");
  MountBoth({"--metadata-ttl", "60s"});
  ASSERT_TRUE(S_ISDIR(StatOf(At("dir")).st_mode));
  proxy().AddRule({.operation = "LIST", .target_part = "data%2Fdir%2F", .fault = {.delay = std::chrono::seconds(20)}});
  const auto asked_at = std::chrono::steady_clock::now();
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("c"));
  EXPECT_LT(std::chrono::steady_clock::now() - asked_at, std::chrono::seconds(10));
  EXPECT_EQ(State("dir/c"), "degraded");
}

TEST_F(Semantics, Row16_WithErrorItCannotBeListed) {
  Put("dir/a", "a");
  WriteLocal("dir/c", "c");
  MountBoth({"--on-outage", "error"});
  proxy().SetStore(Store::kRefused);
  EXPECT_EQ(ListNames(At("dir")).error, EIO);
  EXPECT_TRUE(Eventually([&] { return ListNames(At("")).error == EIO; }));
}

}  // namespace
}  // namespace s3overlay::testing
