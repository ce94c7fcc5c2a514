// SPDX-License-Identifier: Apache-2.0
//
// What a graph serves while its store is away, with and without a run in between.
#include <thread>

#include "component/graph_fixture.h"

namespace s3overlay {
namespace {

using testing::kBlock;
using Call = testing::MemoryObjectStore::Call;

class Outage : public testing::GraphTest {
 protected:
  void LoseTheStore() {
    store().Fail(ErrorCode::kUnavailable);
    LetAnswersExpire();
  }
};

TEST_F(Outage, WhatIsWhollyCachedIsServedStale) {
  const std::string bytes = Put("a", 5 * kBlock + 1);
  WriteLocal("a", 5 * kBlock + 1);
  EXPECT_EQ(Content("a"), bytes);
  ASSERT_TRUE(IsWhollyCached("a"));
  LoseTheStore();
  for (int run = 0; run < 2; ++run) {
    const Entry entry = Find("a");
    EXPECT_EQ(entry.state, FileState::kStale);
    EXPECT_EQ(entry.layer, 0);
    EXPECT_FALSE(entry.reason.empty());
    EXPECT_EQ(Content("a"), bytes) << "run " << run;
    Restart();
  }
}

TEST_F(Outage, OfWhatIsPartlyCachedTheRestIsAnErrorAndNeverTheLocalFiles) {
  const std::string bytes = Put("a", 1000 * kBlock);
  WriteLocal("a", 1000 * kBlock);
  EXPECT_EQ(Read(*Open("a"), 0, 10), bytes.substr(0, 10));
  ASSERT_TRUE(IsPartlyCached("a"));
  Restart();
  LoseTheStore();
  const auto file = Open("a");
  EXPECT_EQ(file->GetEntry()->state, FileState::kStale);
  EXPECT_EQ(Read(*file, 0, 10), bytes.substr(0, 10));
  EXPECT_EQ(Read(*file, 999 * kBlock, 10), "unavailable");
  store().Heal();
  EXPECT_EQ(Read(*file, 999 * kBlock, 10), bytes.substr(999 * kBlock, 10)) << "the handle goes on";
}

TEST_F(Outage, ALocalFileStandsInUnlessItIsKnownToDiffer) {
  const std::string unknown = WriteLocal("unknown", 100);
  Put("same", 100);
  const std::string same = WriteLocal("same", 100);
  Put("other", 100);
  WriteLocal("other", 99);
  for (const char* path : {"same", "other"}) Find(path);
  Restart();
  LoseTheStore();
  EXPECT_EQ(Find("unknown").state, FileState::kDegraded);
  EXPECT_EQ(Content("unknown"), unknown);
  EXPECT_EQ(Find("same").state, FileState::kDegraded);
  EXPECT_EQ(Content("same"), same);
  const Entry other = Find("other");
  EXPECT_EQ(other.attributes.size, 100U) << "what was last known is shown";
  EXPECT_EQ(other.state, FileState::kStale);
  EXPECT_FALSE(other.readable);
  EXPECT_EQ(Content("other"), "unavailable");
}

TEST_F(Outage, AnOutageIsNoAbsence) {
  EXPECT_EQ(Content("a"), "not found");
  LoseTheStore();
  EXPECT_EQ(Content("a"), "unavailable");
  store().Heal();
  EXPECT_EQ(Content("a"), "not found");
}

TEST_F(Outage, WhatStoodInGivesWayWhenTheStoreIsBack) {
  const std::string bytes = Put("a", 2 * kBlock);
  const std::string local = WriteLocal("a", 2 * kBlock);
  LoseTheStore();
  const auto stand_in = Open("a");
  EXPECT_LE(Find("a").ttl, std::chrono::seconds(1));
  store().Heal();
  EXPECT_EQ(Content("a"), bytes);
  EXPECT_EQ(Find("a").state, FileState::kFresh);
  EXPECT_EQ(Read(*stand_in, 0, 2 * kBlock), local) << "a handle stays with its source";
}

TEST_F(Outage, TheLastKnownNamesAreListedWithTheLocalOnes) {
  for (const char* path : {"d/a", "d/b"}) Put(path, 10);
  for (const char* path : {"d/b", "d/c"}) WriteLocal(path, 10);
  WriteLocal("local/x", 10);
  EXPECT_EQ(Names("d"), "a@0 b@0 c@1");
  EXPECT_EQ(Names(""), "d@0 local@1");
  Restart();
  LoseTheStore();
  EXPECT_EQ(Names("d"), "a@0 b@0 c@1!");
  EXPECT_EQ(Names("local"), "x@1!") << "never listed in the store";
}

// A connection that breaks in the middle of a transfer.
TEST_F(Outage, AReadThatLosesTheStoreHalfwayIsAnError) {
  const std::string bytes = Put("a", 64 * kBlock);
  WriteLocal("a", 64 * kBlock);
  const auto file = Open("a");
  store().CloseGate(Call::kGet, 20 * kBlock);
  std::thread reader([&] { EXPECT_EQ(Read(*file, 0, bytes.size()), "unavailable"); });
  EXPECT_TRUE(store().WaitUntilBlocked(Call::kGet));
  store().Fail(ErrorCode::kUnavailable);
  store().CutBlocked(Call::kGet, ErrorCode::kUnavailable);
  reader.join();
  EXPECT_EQ(Read(*file, 0, 20 * kBlock), bytes.substr(0, 20 * kBlock)) << "what had come";
  store().OpenGate(Call::kGet);
  store().Heal();
  EXPECT_EQ(Read(*file, 0, bytes.size()), bytes);
}

}  // namespace
}  // namespace s3overlay
