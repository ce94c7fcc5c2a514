// SPDX-License-Identifier: Apache-2.0
//
// An outage from its beginning to its end: the breaker (B), mounts that start offline (O), and what stands in (S).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fault/fault_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Outage : public FaultTest {
 protected:
  // A file that S3 and the local directory have, and that the mount has never been asked for.
  void PutBoth(const std::string& name) {
    Put(name, "in S3");
    WriteLocal(name, "local");
  }
  uint64_t Counted(const char* name) const { return mount().Status().at("reads").at("opens").at(name); }
};

class Breaker : public Outage {};

TEST_F(Breaker, B01_ItsStateIsInStatusAndEachChangeIsOneLine) {
  PutBoth("both");
  MountBoth();
  EXPECT_EQ(BreakerState(), "closed");
  CutOff(Store::kRefused);
  EXPECT_THAT(BreakerState(), AnyOf("open", "half-open"));
  EXPECT_NE(Endpoint().value("reason", ""), "");
  EXPECT_NE(Endpoint().value("since", ""), "");
  EXPECT_GE(mount().Status().at("requests").at("breaker_opened"), 1);
  EXPECT_TRUE(Holds(At("both"), "local"));
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(ComesToBreaker("closed")) << "by itself";
  EXPECT_EQ(sandbox().CountLogLines({"[warning]", "is taken to be away", proxy().url()}), 1);
  EXPECT_EQ(sandbox().CountLogLines({"is back", proxy().url()}), 1);
}

TEST_F(Breaker, B02_DegradedAnswersVanishWithinASecondOfItsReturn) {
  PutBoth("both");
  PutBoth("dir/both");
  MountBoth();
  CutOff(Store::kHangsUp);
  ASSERT_TRUE(Holds(At("both"), "local"));
  ASSERT_TRUE(Holds(At("dir/both"), "local"));
  EXPECT_EQ(State("dir/both"), "degraded");
  proxy().SetStore(Store::kUp);
  ASSERT_TRUE(Eventually([&] { return sandbox().CountLogLines({"is back", proxy().url()}) > 0; }));
  const double seconds = SecondsOf([&] {
    EXPECT_TRUE(ComesToState("both", "fresh"));
    EXPECT_TRUE(ComesToState("dir/both", "fresh"));
  });
  EXPECT_LT(seconds, Promise(1));
  EXPECT_TRUE(Holds(At("both"), "in S3"));
}

TEST_F(Breaker, B03_RefusalsAndThrottlingDoNotOpenIt) {
  PutBoth("both");
  MountBoth({"--op-timeout", "2s"});
  sandbox().AllowErrorsInLog();
  proxy().AddRule({.target_part = "denied", .fault = {.answer = S3ErrorAnswer("403 Forbidden", "AccessDenied")}});
  proxy().AddRule({.target_part = "busy", .fault = {.answer = S3ErrorAnswer("503 Slow Down", "SlowDown")}});
  for (int i = 0; i < 3; ++i) {
    StatError(At("denied/" + std::to_string(i)));
    StatError(At("busy/" + std::to_string(i)));
  }
  EXPECT_EQ(BreakerState(), "closed");
  EXPECT_TRUE(Holds(At("both"), "in S3"));
}

TEST_F(Breaker, B04_EachStoreHasItsOwn) {
  bucket().Put("one/a", "one");
  bucket().Put("two/a", "two");
  FaultProxy other(bucket().server().port());
  const std::string layer = "[[layer]]\nspec = \"{}=s3://" + bucket().name() + "/{}\"\nendpoint = \"{}\"\n";
  const std::string config = fmt::format(fmt::runtime(layer), "one", "one", proxy().url()) +
                             fmt::format(fmt::runtime(layer), "two", "two", other.url());
  MountOptions options;
  options.arguments = {"--config", sandbox().dir().Write("two.toml", config)};
  MountWith(options);
  const auto state_of = [&](const std::string& url) {
    const nlohmann::json endpoints = mount().Status().at("endpoints");
    for (const auto& endpoint : endpoints) {
      if (endpoint.at("url") == url) return endpoint.value("breaker", "");
    }
    return "no such endpoint: " + endpoints.dump();
  };
  proxy().SetStore(Store::kRefused);
  int name = 0;
  EXPECT_TRUE(Eventually([&] {
    StatError(At("one/unknown-" + std::to_string(++name)));
    return state_of(proxy().url()) != "closed";
  }));
  EXPECT_EQ(state_of(other.url()), "closed");
  EXPECT_TRUE(Holds(At("two/a"), "two"));
  EXPECT_EQ(State("two/a"), "fresh");
  EXPECT_EQ(OpenError(At("one/a")), EIO);
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("one/a"), "one")); }));
  EXPECT_EQ(state_of(proxy().url()), "closed");
}

// Errors that end: a program sees nothing of them, and nobody takes the store to be away.
class Burst : public Outage {
 protected:
  // As many answers of that kind, to each kind of request.
  void AddBurst(const HttpMessage& answer, int count) {
    for (const char* const operation : {"LIST", "HEAD", "GET"}) {
      proxy().AddRule({.operation = operation, .fault = {.answer = answer}, .count = count});
    }
  }
  std::vector<std::chrono::steady_clock::time_point> TimesOf(std::string_view operation) const {
    std::vector<std::chrono::steady_clock::time_point> times;
    for (const ProxiedRequest& request : const_cast<Burst*>(this)->proxy().Requests()) {
      if (request.operation == operation) times.push_back(request.came_at);
    }
    return times;
  }
};

TEST_F(Burst, R01_OfServerErrorsThatEndsCostsNoRead) {
  const std::string object = Pattern(9 * kMiB);
  for (const char* const status : {"500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"}) {
    SCOPED_TRACE(status);
    const std::string name = std::string(status).substr(0, 3) + "/a";
    Put(name, object);
    MountStore();
    AddBurst(S3ErrorAnswer(status, "InternalError"), 2);
    const int before = proxy().Count("GET");
    EXPECT_TRUE(Holds(At(name), object));
    EXPECT_GT(proxy().Count("GET"), before + 2) << "they were met";
    EXPECT_EQ(BreakerState(), "closed");
    proxy().ClearRules();
  }
}

TEST_F(Burst, R02_OfThrottlingIsWaitedForAsLongAsTheStoreSays) {
  Put("a", "in S3");
  WriteLocal("a", "local");
  for (const char* const status : {"429 Too Many Requests", "503 Slow Down"}) {
    SCOPED_TRACE(status);
    MountBoth({"--no-cache"});
    ASSERT_EQ(StatError(At("a")), 0);
    HttpMessage busy = S3ErrorAnswer(status, "SlowDown");
    busy.Set("Retry-After", "2");
    const size_t before = TimesOf("GET").size();
    proxy().AddRule({.operation = "GET", .fault = {.answer = busy}, .count = 1});
    EXPECT_TRUE(Holds(At("a"), "in S3"));
    const auto times = TimesOf("GET");
    ASSERT_GE(times.size(), before + 2);
    EXPECT_GE(times[before + 1] - times[before], std::chrono::milliseconds(1900)) << "asked before its time";
    EXPECT_EQ(State("a"), "fresh");
  }
}

class Offline : public Outage {};

TEST_F(Offline, O01_AMountThatStartsThenServesWhatWasLastKnown) {
  const std::string object = Pattern(700 * kKiB);
  Put("dir/a", object);
  Put("dir/never-read", "12345678");
  Put("dir/sub/b", "b");
  WriteLocal("dir/c", "local");
  MountBoth();
  ASSERT_TRUE(Holds(At("dir/a"), object));
  ASSERT_TRUE(Holds(At("dir/sub/b"), "b"));
  ASSERT_THAT(ListNames(At("dir")).names, ElementsAre("a", "c", "never-read", "sub"));
  ASSERT_TRUE(ComesToCache("dir/a"));
  ASSERT_TRUE(ComesToCache("dir/sub/b"));
  const struct stat before = StatOf(At("dir/a"));
  Unmount();
  proxy().SetStore(Store::kRefused);
  MountBoth();
  EXPECT_THAT(ListNames(At("dir")).names, ElementsAre("a", "c", "never-read", "sub"));
  EXPECT_TRUE(Holds(At("dir/a"), object));
  EXPECT_TRUE(Holds(At("dir/sub/b"), "b"));
  EXPECT_TRUE(Holds(At("dir/c"), "local"));
  const struct stat after = StatOf(At("dir/a"));
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_EQ(after.st_mtime, before.st_mtime);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(State("dir/a"), "stale");
}

TEST_F(Offline, O02_AttributesAreShownAlsoWhereTheContentCannotBeHad) {
  Put("known", "12345678");
  MountBoth();
  ASSERT_EQ(StatOf(At("known")).st_size, 8);
  const time_t modified = StatOf(At("known")).st_mtime;
  Unmount();
  proxy().SetStore(Store::kRefused);
  MountBoth();
  EXPECT_EQ(StatOf(At("known")).st_size, 8);
  EXPECT_EQ(StatOf(At("known")).st_mtime, modified);
  EXPECT_EQ(State("known"), "stale");
  EXPECT_THAT(Provenance(At("known"), "reason"), HasSubstr("cannot be had"));
  EXPECT_EQ(OpenError(At("known")), EIO);
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("known"), "12345678")); }));
}

TEST_F(Offline, O03_NothingValidIsDroppedFromTheCache) {
  const std::string object = Pattern(700 * kKiB);
  for (const char* const name : {"a", "b"}) Put(name, object);
  Put("elsewhere/uncached", "x");
  MountStore();
  for (const char* const name : {"a", "b"}) {
    ASSERT_TRUE(Holds(At(name), object));
    ASSERT_TRUE(ComesToCache(name));
  }
  CutOff(Store::kRefused);
  EXPECT_TRUE(Holds(At("a"), object));
  EXPECT_NE(ReadWhole(At("elsewhere/uncached")).error, 0);
  Unmount();
  MountStore();
  EXPECT_TRUE(Holds(At("b"), object));
  proxy().SetStore(Store::kUp);
  ASSERT_TRUE(ComesToState("a", "fresh"));
  const int gets = proxy().Count("GET", "/a") + proxy().Count("GET", "/b");
  EXPECT_TRUE(Holds(At("a"), object));
  EXPECT_TRUE(Holds(At("b"), object));
  EXPECT_EQ(proxy().Count("GET", "/a") + proxy().Count("GET", "/b"), gets) << "fetched again";
}

// Keys that are refused and a bucket that is gone are no new versions.
TEST_F(Offline, O03_NorBecauseItSaidNo) {
  sandbox().AllowErrorsInLog();
  const std::string object = Pattern(700 * kKiB);
  Put("a", object);
  MountStore({"--metadata-ttl", "1s", "--negative-ttl", "1s"});
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  const int gets = proxy().Count("GET", "/a");
  for (const auto& [status, code] : {std::pair{"403 Forbidden", "AccessDenied"}, {"404 Not Found", "NoSuchBucket"}}) {
    proxy().AddRule({.fault = {.answer = S3ErrorAnswer(status, code)}});
    ASSERT_TRUE(ComesToState("a", "stale")) << code;
    EXPECT_TRUE(Holds(At("a"), object)) << code;
    proxy().ClearRules();
    ASSERT_TRUE(ComesToState("a", "fresh")) << code;
    EXPECT_TRUE(Holds(At("a"), object)) << code;
    EXPECT_EQ(proxy().Count("GET", "/a"), gets) << "fetched again after " << code;
  }
}

TEST_F(Offline, O04_WhatIsKnownOfAnObjectsSizeOutlivesTheMount) {
  for (const char* const name : {"looked-at/same", "looked-at/other", "listed/same", "listed/other"}) {
    const bool same = std::string_view(name).ends_with("same");
    Put(name, same ? "S3 bytes" : "S3, and of another size");
    WriteLocal(name, same ? "my bytes" : "local");
  }
  WriteLocal("never-asked/for", "local");
  Put("never-asked/for", "S3, and of another size");
  MountBoth();
  for (const char* const name : {"looked-at/same", "looked-at/other"}) ASSERT_EQ(StatError(At(name)), 0);
  ASSERT_EQ(ListNames(At("listed")).names.size(), 2U);
  Unmount();
  proxy().SetStore(Store::kRefused);
  MountBoth();
  for (const std::string directory : {"looked-at", "listed"}) {
    EXPECT_TRUE(Holds(At(directory + "/same"), "my bytes"));
    EXPECT_EQ(State(directory + "/same"), "degraded");
    EXPECT_EQ(OpenError(At(directory + "/other")), EIO) << directory;
    EXPECT_EQ(StatOf(At(directory + "/other")).st_size, 23) << "the object's, not the local file's";
  }
  EXPECT_TRUE(Holds(At("never-asked/for"), "local"));
}

// It may have known anything.
TEST_F(Offline, O05_AMemoryThatCannotBeOpenedIsNoPermission) {
  Put("both", "in S3, and of another size");
  WriteLocal("both", "local");
  MountBoth();
  ASSERT_EQ(StatError(At("both")), 0);
  Unmount();
  const std::filesystem::path memory = sandbox().cache() + "/metadata.sqlite";
  for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(memory.string() + suffix);
  std::filesystem::create_directory(memory);
  proxy().SetStore(Store::kRefused);
  MountBoth();
  EXPECT_EQ(sandbox().CountLogLines({"[warning]", "will not outlast this mount"}), 1);
  EXPECT_EQ(ReadWhole(At("both")).error, EIO);
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("both"), "in S3, and of another size")); }));
}

class StandIn : public Outage {};

TEST_F(StandIn, S01_EachIsMarkedAndCounted) {
  PutBoth("both");
  Put("cached", "in S3");
  MountBoth();
  ASSERT_TRUE(Holds(At("cached"), "in S3"));
  ASSERT_TRUE(ComesToCache("cached"));
  CutOff(Store::kRefused);
  ASSERT_TRUE(Holds(At("both"), "local"));
  ASSERT_TRUE(ComesToState("cached", "stale"));
  ASSERT_TRUE(Holds(At("cached"), "in S3"));
  EXPECT_EQ(State("both"), "degraded");
  EXPECT_THAT(Provenance(At("both"), "reason"), HasSubstr("cannot answer"));
  EXPECT_EQ(Counted("degraded"), 1U);
  EXPECT_EQ(Counted("stale"), 1U);
  EXPECT_EQ(ListNames(At("")).error, 0);
  EXPECT_GE(mount().Status().at("reads").at("listings_degraded"), 1);
}

TEST_F(StandIn, S02_TheLogTellsOfEachTransitionOnce) {
  for (int i = 0; i < 20; ++i) PutBoth(std::to_string(i));
  MountBoth();
  for (int outage = 1; outage <= 2; ++outage) {  // The second one within a minute is not told again.
    CutOff(Store::kHangsUp);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Holds(At(std::to_string(i)), "local"));
    proxy().SetStore(Store::kUp);
    ASSERT_TRUE(ComesToState("0", "fresh"));
    EXPECT_EQ(sandbox().CountLogLines({"layer " + S3Layer(), "cannot answer", "stand in"}), 1);
    EXPECT_TRUE(Eventually([&] {
      StatError(At("0"));
      return sandbox().CountLogLines({"layer " + S3Layer(), "answers again"}) > 0;
    }));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(StatError(At(std::to_string(i))), 0);
    EXPECT_EQ(sandbox().CountLogLines({"layer " + S3Layer(), "answers again"}), 1);
  }
}

TEST_F(StandIn, S03_FailuresDoNotFloodTheLog) {
  constexpr int kMany = 60;
  for (int i = 0; i < kMany; ++i) Put("d" + std::to_string(i) + "/a", Pattern(256 * kKiB));
  Put("never-listed/a", "x");
  MountStore();
  std::vector<UniqueFd> open;
  for (int i = 0; i < kMany; ++i) {
    ASSERT_EQ(ListNames(At("d" + std::to_string(i))).names.size(), 1U);
    open.push_back(OpenDirect(At("d" + std::to_string(i) + "/a")));
    ASSERT_TRUE(open.back().is_open());
  }
  ASSERT_EQ(StatError(At("never-listed")), 0);
  CutOff(Store::kRefused);
  const auto before = mount().Status().at("reads").at("errors").get<int>();
  for (int i = 0; i < kMany; ++i) {
    EXPECT_EQ(OpenError(At("d" + std::to_string(i) + "/a")), EIO);
    EXPECT_EQ(ReadAt(open[static_cast<size_t>(i)].get(), 0, 4096).error, EIO);
    EXPECT_NE(ListNames(At("never-listed")).error, 0);
  }
  EXPECT_EQ(mount().Status().at("reads").at("errors"), before + kMany) << "all are counted";
  for (const char* const call : {"open s3://", "read s3://", "list /"}) {
    const int lines = sandbox().CountLogLines({"[warning]", call});
    EXPECT_GT(lines, 0) << call;
    EXPECT_LE(lines, 20) << call;
  }
}

}  // namespace
}  // namespace s3overlay::testing
