// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md: what a path means when the store answers, and refuses (rows 07, 08, 09, 13).
#include <gmock/gmock.h>

#include <ctime>

#include "mount/semantics_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Ne;

HttpMessage Denied() { return S3ErrorAnswer("403 Forbidden", "AccessDenied"); }
HttpMessage SlowDown() { return S3ErrorAnswer("503 Slow Down", "SlowDown"); }

HttpMessage SlowDownFor(const std::string& seconds) {
  HttpMessage answer = SlowDown();
  answer.Set("Retry-After", seconds);
  return answer;
}

TEST_F(Semantics, Row07_AThrottledRequestIsSentAgain) {
  const std::string object = Pattern(100 * kKiB);
  Put("a", object);
  WriteLocal("a", "local");
  MountBoth();
  proxy().AddRule({.operation = "GET", .fault = {.answer = SlowDown()}, .count = 2});
  proxy().AddRule(
      {.operation = "GET", .fault = {.answer = S3ErrorAnswer("429 Too Many Requests", "TooManyRequests")}, .count = 1});
  EXPECT_TRUE(Holds(At("a"), object));
  EXPECT_GE(proxy().Count("GET"), 4);
  EXPECT_EQ(State("a"), "fresh");
}

TEST_F(Semantics, Row07_TheTimeThatTheStoreAsksForIsKept) {
  const std::string object = Pattern(100 * kKiB);
  Put("a", object);
  WriteLocal("a", "local");
  MountBoth();
  proxy().AddRule({.operation = "GET", .fault = {.answer = SlowDownFor("1")}, .count = 2});
  EXPECT_TRUE(Holds(At("a"), object));
  const auto times = TimesOf("GET");
  ASSERT_EQ(times.size(), 3U);
  // Its own pauses are shorter by far.
  EXPECT_GE(times[1] - times[0], std::chrono::milliseconds(950));
  EXPECT_GE(times[2] - times[1], std::chrono::milliseconds(950));
}

TEST_F(Semantics, Row07_ATimeBeyondTheDeadlineEndsWithTheDeadline) {
  Put("a", Pattern(100 * kKiB));
  WriteLocal("a", "local");
  MountBoth({"--op-timeout", "4s"});
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  proxy().AddRule({.operation = "GET", .fault = {.answer = SlowDownFor("3600")}});
  const auto start = std::chrono::steady_clock::now();
  const ReadOutcome outcome = ReadAt(fd.get(), 0, 4096);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4 + 2));
  EXPECT_EQ(outcome.bytes, "");
  EXPECT_EQ(outcome.error, ETIMEDOUT);
  EXPECT_EQ(proxy().Count("GET"), 1) << "it was told to wait";
}

TEST_F(Semantics, Row07_NothingStandsInForAThrottledStore) {
  Put("a", "in S3");
  WriteLocal("a", "local");
  MountBoth();
  proxy().AddRule({.fault = {.answer = SlowDown()}});
  const ReadOutcome outcome = ReadWhole(At("a"));
  EXPECT_EQ(outcome.bytes, "");
  EXPECT_THAT(outcome.error, AllOf(Ne(0), Ne(ENOENT)));
  EXPECT_THAT(mount().Status().dump(), HasSubstr("\"breaker\":\"closed\""));
  proxy().ClearRules();
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), "in S3")); }));
}

TEST_F(Semantics, Row08_ARefusedKeyThatTheListLacksIsAbsent) {
  Put("dir/other", "x");
  WriteLocal("dir/local", "local");
  proxy().AddRule({.operation = "HEAD", .fault = {.answer = Denied()}});
  MountBoth();
  EXPECT_EQ(StatError(At("dir/missing")), ENOENT);
  EXPECT_TRUE(Holds(At("dir/local"), "local"));
  EXPECT_EQ(State("dir/local"), "fallback");
}

TEST_F(Semantics, Row08_ADeniedKeyIsSkippedOrAnAccessError) {
  Put("secret", "denied");
  Put("both", "denied too");
  WriteLocal("both", "local");
  sandbox().AllowErrorsInLog();
  proxy().AddRule({.fault = {.answer = Denied()}});
  MountBoth();  // A denied list is a warning.
  EXPECT_EQ(OpenError(At("secret")), EACCES);
  EXPECT_TRUE(Holds(At("both"), "local"));
  EXPECT_EQ(State("both"), "degraded");
  EXPECT_NE(Provenance(At("both"), "reason"), "");
}

TEST_F(Semantics, Row08_AnObjectThatIsListedAndDeniedIsAnAccessError) {
  Put("secret", "denied");
  proxy().AddRule({.operation = "GET", .target_part = "secret", .fault = {.answer = Denied()}});
  proxy().AddRule({.operation = "HEAD", .target_part = "secret", .fault = {.answer = Denied()}});
  MountStore();
  EXPECT_EQ(ReadWhole(At("secret")).error, EACCES);
}

TEST_F(Semantics, Row09_RefusedCredentialsAreAFaultOfTheMount) {
  Put("a", "in S3");
  Put("both", "in S3");
  WriteLocal("both", "local");
  MountBoth();
  sandbox().AllowErrorsInLog();
  proxy().AddRule({.fault = {.answer = S3ErrorAnswer("403 Forbidden", "InvalidAccessKeyId")}});
  EXPECT_EQ(OpenError(At("a")), EACCES);
  EXPECT_TRUE(Holds(At("both"), "local"));
  EXPECT_EQ(State("both"), "degraded");
  EXPECT_THAT(mount().Status().dump(), HasSubstr("InvalidAccessKeyId"));
  EXPECT_GT(sandbox().CountLogLines({"[error]", "InvalidAccessKeyId"}), 0);
}

TEST_F(Semantics, Row09_ABucketThatIsGoneIsAFaultOfTheMountAndNoEmptyStore) {
  auto lost = std::make_unique<TestBucket>(bucket().server());
  lost->Put("a", "in S3");
  WriteLocal("local", "local");
  MountWith({"s3://" + lost->name(), LocalDirectory()});
  sandbox().AllowErrorsInLog();
  lost.reset();
  EXPECT_EQ(StatError(At("a")), EACCES);
  EXPECT_TRUE(Holds(At("local"), "local"));
  EXPECT_EQ(State("local"), "degraded");
  EXPECT_THAT(mount().Status().dump(), HasSubstr("NoSuchBucket"));
  EXPECT_GT(sandbox().CountLogLines({"[error]", "NoSuchBucket"}), 0);
}

// As x-amz-date and as the Date header write it.
std::string FormatUtc(std::time_t time, const char* format) {
  tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

TEST_F(Semantics, Row09_AWrongClockIsCorrectedFromTheAnswer) {
  Put("a", "in S3");
  // Within the 15 minutes that a store allows, so that the real one takes what is signed afterwards.
  const std::time_t now = std::time(nullptr);
  HttpMessage skewed = S3ErrorAnswer("403 Forbidden", "RequestTimeTooSkewed");
  skewed.Set("Date", FormatUtc(now + 600, "%a, %d %b %Y %H:%M:%S GMT"));
  proxy().AddRule({.fault = {.answer = skewed}, .count = 1});
  MountStore();
  EXPECT_TRUE(Holds(At("a"), "in S3"));
  const auto requests = proxy().Requests();
  ASSERT_FALSE(requests.empty());
  const std::string* const date = requests.back().message.Find("x-amz-date");
  ASSERT_NE(date, nullptr);
  EXPECT_GT(*date, FormatUtc(now + 300, "%Y%m%dT%H%M%SZ"));
}

TEST_F(Semantics, Row13_AnArchivedObjectIsShownAndCannotBeOpened) {
  Put("cold", Pattern(1000));
  Put("warm", "warm");
  for (const FaultRule& rule : Archived("cold")) proxy().AddRule(rule);
  MountStore();
  EXPECT_THAT(ListNames(At("")).names, ::testing::ElementsAre("cold", "warm"));
  EXPECT_EQ(StatOf(At("cold")).st_size, 1000);
  EXPECT_EQ(OpenError(At("cold")), EACCES);
  EXPECT_THAT(Provenance(At("cold"), "reason"), HasSubstr("archive"));
  EXPECT_TRUE(Holds(At("warm"), "warm"));
  Unmount();
  EXPECT_GT(sandbox().CountLogLines({"cold", "archive"}), 0);
}

}  // namespace
}  // namespace s3overlay::testing
