// SPDX-License-Identifier: Apache-2.0
//
// A mount that goes on for long: its wall clock jumps (T), its credentials expire (C).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "fault/fault_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kDay = 24 * 60 * 60;

class WallClock : public FaultTest {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    if (IsSkipped()) return;
    if (kSlowMachine > 1) GTEST_SKIP() << "a sanitizer wants to be the first library of a process";
    SetOffset(0);
    sandbox().SetEnvironment("LD_PRELOAD", S3OVERLAY_CLOCK_SHIM);
    sandbox().SetEnvironment("S3OVERLAY_TEST_CLOCK", sandbox().dir() / "clock");
  }
  void SetOffset(int64_t seconds) {
    // In place: the file is mapped.
    const UniqueFd file(::open((sandbox().dir() / "clock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::pwrite(file.get(), &seconds, sizeof seconds, 0), static_cast<ssize_t>(sizeof seconds));
  }

  // After a jump all is as before, and promptly so.
  void ExpectAllIsWell(int64_t offset) {
    for (const char* const name : {"seen", "a", "dir/b"}) Put(name, "first");
    WriteLocal("local", "local");
    MountBoth();
    ASSERT_TRUE(Holds(At("seen"), "first"));
    SetOffset(offset);
    const double seconds = SecondsOf([&] {
      EXPECT_TRUE(Holds(At("a"), "first"));
      EXPECT_TRUE(Holds(At("dir/b"), "first"));
      EXPECT_TRUE(Holds(At("local"), "local"));
      EXPECT_EQ(State("a"), "fresh");
      Put("seen", "second");
      EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("seen"), "second")); }));
    });
    EXPECT_LT(seconds, 10);
    EXPECT_EQ(BreakerState(), "closed");
    EXPECT_GT(sandbox().CountLogLines({"[warning]", "the clock of this machine differs"}), 0);
    EXPECT_LT(SecondsOf([&] { MountTest::mount().Unmount(); }), 10);
  }
};

TEST_F(WallClock, T01_SetForwardByADay) { ExpectAllIsWell(kDay); }

TEST_F(WallClock, T02_SetBackByADay) { ExpectAllIsWell(-kDay); }

// What is written down tells times of a clock that says something else by now.
class RemountedClock : public WallClock, public ::testing::WithParamInterface<int64_t> {};

TEST_P(RemountedClock, T03_WhatOutlivesAMountOutlivesAJump) {
  const std::string object = Pattern(700 * kKiB);
  Put("cached", object);
  Put("dir/listed", "12345678");
  MountStore();
  ASSERT_TRUE(Holds(At("cached"), object));
  ASSERT_TRUE(ComesToCache("cached"));
  ASSERT_EQ(ListNames(At("dir")).names.size(), 1U);
  Unmount();
  SetOffset(GetParam());
  proxy().SetStore(Store::kRefused);
  MountStore();
  EXPECT_TRUE(Holds(At("cached"), object));
  EXPECT_EQ(State("cached"), "stale");
  EXPECT_EQ(StatOf(At("dir/listed")).st_size, 8);
  EXPECT_EQ(ListNames(At("dir")).names.size(), 1U);
  proxy().SetStore(Store::kUp);
  ASSERT_TRUE(ComesToState("cached", "fresh"));
  const int gets = proxy().Count("GET", "cached");
  EXPECT_TRUE(Holds(At("cached"), object));
  EXPECT_EQ(proxy().Count("GET", "cached"), gets) << "fetched again";
  Put("cached", "another");
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("cached"), "another")); })) << "believed too long";
}

INSTANTIATE_TEST_SUITE_P(Jumps, RemountedClock, ::testing::Values(kDay, -kDay),
                         [](const auto& jump) { return jump.param > 0 ? "ADayForward" : "ADayBack"; });

class Expiry : public FaultTest {
 protected:
  static HttpMessage Expired() { return S3ErrorAnswer("400 Bad Request", "ExpiredToken"); }
  std::string FaultShown() const {
    const nlohmann::json fault = Endpoint().at("fault");
    return fault.is_string() ? fault.get<std::string>() : "";
  }
};

TEST_F(Expiry, C01_IsAFaultOfTheMountThatEndsWithIt) {
  Put("a", "in S3");
  Put("both", "in S3");
  Put("cached", "in the cache");
  WriteLocal("both", "local");
  MountBoth();
  ASSERT_TRUE(Holds(At("cached"), "in the cache"));
  ASSERT_TRUE(ComesToCache("cached"));
  sandbox().AllowErrorsInLog();
  proxy().AddRule({.fault = {.answer = Expired()}});
  EXPECT_TRUE(Eventually([&] { return OpenError(At("a")) == EACCES; }));
  EXPECT_TRUE(ComesToState("both", "degraded"));
  EXPECT_TRUE(Holds(At("both"), "local"));
  EXPECT_TRUE(Holds(At("cached"), "in the cache"));
  EXPECT_THAT(FaultShown(), HasSubstr("ExpiredToken"));
  EXPECT_EQ(sandbox().CountLogLines({"[error]", "ExpiredToken"}), 1);
  proxy().ClearRules();
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), "in S3")); }));
  EXPECT_TRUE(ComesToState("both", "fresh"));
  EXPECT_EQ(FaultShown(), "");
}

TEST_F(Expiry, C02_AnEnvFileThatIsWrittenAnewIsReadAgain) {
  Put("a", "in S3");
  const std::string secret = "\nAWS_SECRET_ACCESS_KEY=" + bucket().server().secret_key + "\n";
  const std::string good = "AWS_ACCESS_KEY_ID=" + bucket().server().access_key + secret;
  const std::string file = sandbox().dir().Write("env", good);
  for (const char* const name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}) sandbox().SetEnvironment(name, "");
  MountStore({"--env-file", file});
  sandbox().AllowErrorsInLog();
  proxy().AddRule({.fault = {.answer = Expired()}});
  EXPECT_EQ(OpenError(At("a")), EACCES);
  sandbox().dir().Write("env", good + "AWS_SESSION_TOKEN=a-token-of-the-new-file\n");
  EXPECT_TRUE(Eventually([&] {
    StatError(At("a"));
    const auto requests = proxy().Requests();
    return requests.back().message.Find("x-amz-security-token") != nullptr;
  })) << "signed with what the file holds now";
  EXPECT_THAT(sandbox().Log(), Not(HasSubstr("a-token-of-the-new-file")));
}

}  // namespace
}  // namespace s3overlay::testing
