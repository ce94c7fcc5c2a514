// SPDX-License-Identifier: Apache-2.0
//
// What `s3overlay` answers about mounts, objects and the cache, what it prints, and what it never prints.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include "s3overlay/metrics.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

class Query : public MountTest {
 protected:
  // The lines of the debug log about requests of a method.
  std::vector<std::string> RequestLines(const std::string& method) {
    std::vector<std::string> found;
    std::istringstream lines(sandbox().Log());
    for (std::string line; std::getline(lines, line);) {
      if (line.find("[debug] " + method + " ") != std::string::npos) found.push_back(line);
    }
    return found;
  }

  // The data files of the cache.
  std::vector<std::string> DataFiles() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(sandbox().cache() + "/data")) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    return files;
  }
};

TEST_F(Query, ResolveSaysWhoServesAPathAndWhy) {
  Put("a.jsonl", "in S3");
  WriteLocal("local.jsonl", "local");
  MountBoth();
  ASSERT_TRUE(Holds(At("a.jsonl"), "in S3"));
  const auto object = mount().Resolve("a.jsonl");
  EXPECT_EQ(object.at("schema"), 1);
  EXPECT_EQ(object.at("source"), SourceOf("a.jsonl"));
  EXPECT_EQ(object.at("state"), "fresh");
  EXPECT_EQ(object.at("size"), 5);
  EXPECT_EQ(object.at("mountpoint"), mount().path());
  EXPECT_EQ(object.at("etag"), Provenance(At("a.jsonl"), "etag"));
  const auto local = mount().Resolve("local.jsonl");
  EXPECT_EQ(local.at("state"), "fallback");
  ASSERT_EQ(local.at("layers").size(), 2U);
  EXPECT_EQ(local.at("layers")[0].at("answer"), "no");
  EXPECT_EQ(local.at("layers")[0].at("spec"), S3Layer());
  EXPECT_EQ(local.at("layers")[1].at("answer"), "yes");
  const ProcessResult text = sandbox().Run({"resolve", At("local.jsonl")});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr(LocalDirectory() + "/local.jsonl"), HasSubstr("fallback")));
  EXPECT_EQ(sandbox().Run({"resolve", At("missing")}).exit_code, 4);
}

TEST_F(Query, ResolveSaysThatALayerCouldNotAnswer) {
  WriteLocal("a", "local");
  proxy().SetStore(FaultProxy::Store::kRefused);
  MountBoth();
  const auto answer = mount().Resolve("a");
  EXPECT_EQ(answer.at("state"), "degraded");
  EXPECT_EQ(answer.at("layers")[0].at("answer"), "unavailable");
  EXPECT_NE(answer.at("layers")[0].at("error"), "");
}

TEST_F(Query, ResolveCatAndLsOfObjectsNeedNoMount) {
  Put("a.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
  Put("dir/b", "b");
  const std::string object = SourceOf("a.jsonl");
  EXPECT_EQ(sandbox().RunJson({"resolve", object, "--json"}).at("size"), 23);
  EXPECT_EQ(sandbox().Run({"cat", object}).out, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
  EXPECT_EQ(sandbox().Run({"cat", object, "--lines", "2"}).out, "{\"n\":1}\n{\"n\":2}\n");
  EXPECT_EQ(sandbox().Run({"cat", object, "--lines", "9"}).out, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
  const ProcessResult names = sandbox().Run({"ls", S3Layer()});
  EXPECT_EQ(names.exit_code, 0) << names.err;
  EXPECT_THAT(names.out, AllOf(HasSubstr("a.jsonl"), HasSubstr("dir/"), Not(HasSubstr("dir/b"))));
}

TEST_F(Query, APrefixIsADirectoryAndAKeyIsListedAlone) {
  Put("dir/b", "bytes");
  Put("a", "1");
  for (const std::string& prefix : {S3Layer(), S3Layer() + "/", SourceOf("dir"), "s3://" + bucket().name()}) {
    const auto found = sandbox().RunJson({"resolve", prefix, "--json"});
    EXPECT_EQ(found.at("type"), "directory") << prefix;
    EXPECT_EQ(found.at("source"), prefix);
    EXPECT_EQ(found.at("layers")[0].at("answer"), "yes");
  }
  const ProcessResult one = sandbox().Run({"ls", SourceOf("dir/b")});
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, ContainsRegex("^ +5  20[^ ]+Z  b\n$"));
  EXPECT_EQ(sandbox().Run({"ls", SourceOf("dir/b") + "/"}).exit_code, 4) << "an object is no directory";
  // Both: the object for whoever names it, and what is below it for whoever lists.
  Put("dir", "object");
  EXPECT_EQ(sandbox().RunJson({"resolve", SourceOf("dir"), "--json"}).at("type"), "file");
  EXPECT_EQ(sandbox().RunJson({"resolve", SourceOf("dir/"), "--json"}).at("type"), "directory");
  EXPECT_EQ(sandbox().Run({"ls", SourceOf("dir")}).out, one.out);
  const ProcessResult cat = sandbox().Run({"cat", S3Layer()});
  EXPECT_EQ(cat.exit_code, 1);
  EXPECT_THAT(cat.err, HasSubstr("s3overlay ls " + S3Layer()));
}

TEST_F(Query, ResolveTellsHowOldAnAnswerIs) {
  Put("a", "in S3");
  WriteLocal("local", "local");
  MountBoth({"--metadata-ttl", "60s", "--negative-ttl", "60s"});
  const auto age = [&](const char* name) { return mount().Resolve(name).at("layers")[0].at("age_s"); };
  for (const char* const name : {"a", "local"}) {
    ASSERT_TRUE(age(name).is_number()) << name;
    const double before = age(name);
    EXPECT_TRUE(Eventually([&] { return age(name) > before + 0.05; })) << name << ": it does not grow";
  }
  const auto layers = mount().Resolve("local").at("layers");
  EXPECT_EQ(layers[0].at("answer"), "no");
  EXPECT_TRUE(layers[1].at("age_s").is_null()) << "a local directory is looked at each time";
}

TEST_F(Query, WhatIsNotThereIsExitCode4AndARefusal7) {
  for (const char* const command : {"resolve", "cat"}) {
    EXPECT_EQ(sandbox().Run({command, SourceOf("missing")}).exit_code, 4) << command;
  }
  EXPECT_EQ(sandbox().Run({"ls", S3Layer() + "/missing"}).exit_code, 4);
  Put("a", "in S3");
  proxy().SetStore(FaultProxy::Store::kRefused);
  EXPECT_EQ(sandbox().Run({"cat", SourceOf("a")}).exit_code, 5);
  proxy().SetStore(FaultProxy::Store::kUp);
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", "wrong");
  EXPECT_EQ(sandbox().Run({"cat", SourceOf("a")}).exit_code, 7);
}

TEST_F(Query, CatReadsAMountedPathAndStopsAtItsLines) {
  Put("a.jsonl", "1\n2\n3\n");
  MountBoth();
  EXPECT_EQ(sandbox().Run({"cat", At("a.jsonl"), "--lines", "1"}).out, "1\n");
  Unmount();
  std::string lines;
  while (lines.size() < 32 * kMiB) lines += Pattern(1000) + "\n";
  Put("large", lines);
  const std::string first = lines.substr(0, lines.find('\n') + 1);
  const int before = proxy().Count("GET");
  EXPECT_EQ(sandbox().Run({"cat", SourceOf("large"), "--lines", "1"}).out, first);
  EXPECT_LE(proxy().Count("GET") - before, 2) << "it goes on fetching what it does not print";
}

TEST_F(Query, StatusShowsTheMount) {
  Put("a", "in S3");
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), "in S3"));
  const auto status = mount().Status();
  for (const char* const field : {"schema", "version", "pid", "mountpoint", "uptime_s", "ready", "fuse", "layers",
                                  "endpoints", "cache", "memory", "queues", "reads", "requests", "metrics"}) {
    EXPECT_TRUE(status.contains(field)) << field << " lacks in " << status.dump();
  }
  for (const char* const field : {"/fuse/libfuse", "/fuse/passthrough/on", "/fuse/passthrough/reason", "/memory/limit",
                                  "/memory/used", "/memory/peak_rss"}) {
    EXPECT_TRUE(status.contains(nlohmann::json::json_pointer(field))) << field << " lacks in " << status.dump();
  }
  EXPECT_EQ(status.at("pid"), mount().pid());
  EXPECT_EQ(status.at("mountpoint"), mount().path());
  EXPECT_EQ(status.at("ready"), true);
  EXPECT_EQ(status.at("endpoints")[0].at("url"), proxy().url());
  EXPECT_EQ(status.at("endpoints")[0].at("breaker"), "closed");
  const ProcessResult text = sandbox().Run({"status"});
  EXPECT_THAT(text.out, HasSubstr(mount().path())) << "without a mountpoint: all of them";
  EXPECT_THAT(text.out, Not(HasSubstr("metrics:")));
  Unmount();
  EXPECT_EQ(sandbox().Run({"status", sandbox().mountpoint()}).exit_code, 4);
}

TEST_F(Query, StatusHasEveryMetricByItsName) {
  Put("a", "in S3");
  MountStore();
  ASSERT_TRUE(Holds(At("a"), "in S3"));
  const auto metrics = mount().Status().at("metrics");
  EXPECT_EQ(metrics.size(), static_cast<size_t>(Metric::kCount));
  for (size_t i = 0; i < static_cast<size_t>(Metric::kCount); ++i) {
    const std::string name(Describe(static_cast<Metric>(i)).name);
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_TRUE(metrics.at(name).is_number_unsigned()) << name;
  }
  EXPECT_EQ(metrics.at("read_s3_fresh"), 5);
  EXPECT_EQ(metrics.at("opens_fresh"), 1);
  EXPECT_EQ(metrics.at("s3_get_requests"), proxy().Count("GET"));
}

TEST_F(Query, StatusTellsWhatWasReadBySourceAndState) {
  Put("a", "in S3");
  WriteLocal("b", "in local");
  MountBoth({"--no-passthrough"});
  ASSERT_TRUE(Holds(At("a"), "in S3"));
  ASSERT_TRUE(Holds(At("b"), "in local"));
  const nlohmann::json none = {{"fresh", 0}, {"fallback", 0}, {"degraded", 0}, {"stale", 0}};
  nlohmann::json s3 = none;
  nlohmann::json local = none;
  s3["fresh"] = 5;
  local["fallback"] = 8;
  const auto reads = mount().Status().at("reads");
  EXPECT_EQ(reads.at("s3_bytes"), s3);
  EXPECT_EQ(reads.at("local_bytes"), local);
}

// The kernel keeps the pages of a version from one open to the next.
TEST_F(Query, WhatWasReadOfAVersionIsNotReadAgain) {
  const std::string content = Pattern(3 * kMiB);
  Put("a", content);
  MountStore({"--no-passthrough"});
  ASSERT_TRUE(SameBytes(ReadWhole(At("a")), content));
  const auto before = mount().Status().at("reads");
  EXPECT_GE(before.at("s3_bytes").at("fresh"), content.size());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(SameBytes(ReadWhole(At("a")), content));
  const auto after = mount().Status().at("reads");
  EXPECT_EQ(after.at("opens").at("fresh"), before.at("opens").at("fresh").get<int>() + 3);
  EXPECT_EQ(after.at("s3_bytes"), before.at("s3_bytes"));
}

TEST_F(Query, CacheStatsVerifyAndClearWhileMountedAndAfterwards) {
  const std::string object = Pattern(3 * kMiB);
  Put("a", object);
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  for (const bool mounted : {true, false}) {
    if (!mounted) Unmount();
    const std::vector<std::string> where =
        mounted ? std::vector{mount().path()} : std::vector<std::string>{"--cache-dir", sandbox().cache()};
    const auto run = [&](const std::string& command, bool json) {
      std::vector<std::string> arguments = {"cache", command};
      arguments.insert(arguments.end(), where.begin(), where.end());
      if (json) arguments.emplace_back("--json");
      return sandbox().Run(arguments);
    };
    const ProcessResult stats = run("stats", true);
    ASSERT_EQ(stats.exit_code, 0) << stats.err;
    const auto document = nlohmann::json::parse(stats.out);
    EXPECT_EQ(document.at("dir"), sandbox().cache());
    EXPECT_EQ(document.at("complete_objects"), 1);
    EXPECT_GE(document.at("bytes"), object.size());
    EXPECT_EQ(document.at("owner").is_null(), !mounted);
    EXPECT_EQ(document.at("size_limit").is_null(), !mounted) << "a limit is the mount's, not the disk's";
    EXPECT_EQ(run("verify", false).exit_code, 0);
  }
  EXPECT_EQ(sandbox().Run({"cache", "clear", "--cache-dir", sandbox().cache()}).exit_code, 0);
  EXPECT_EQ(sandbox().RunJson({"cache", "stats", "--cache-dir", sandbox().cache(), "--json"}).at("objects"), 0);
}

TEST_F(Query, AClearedCacheFillsAgainUnderALiveMount) {
  const std::string object = Pattern(3 * kMiB);
  Put("a", object);
  MountStore();
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  const UniqueFd open = OpenDirect(At("a"));
  EXPECT_EQ(sandbox().Run({"cache", "clear", mount().path()}).exit_code, 0);
  EXPECT_TRUE(SameBytes(ReadAt(open.get(), kMiB, kMiB), object.substr(kMiB, kMiB)));
  EXPECT_TRUE(Holds(At("a"), object));
}

TEST_F(Query, VerifyFindsDamageAndTheNextReadIsRight) {
  const std::string object = Pattern(3 * kMiB);
  Put("a", object);
  MountStore();
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  Unmount();
  ASSERT_EQ(DataFiles().size(), 1U);
  std::fstream(DataFiles()[0], std::ios::in | std::ios::out).seekp(kMiB) << "damage";
  EXPECT_EQ(sandbox().Run({"cache", "verify", "--cache-dir", sandbox().cache()}).exit_code, 1);
  EXPECT_EQ(sandbox().Run({"cache", "verify", "--cache-dir", sandbox().cache()}).exit_code, 0);
  MountStore();
  EXPECT_TRUE(Holds(At("a"), object));
}

TEST_F(Query, ADirectoryThatIsNoCacheIsLeftAlone) {
  WriteLocal("precious", "data");
  for (const char* const command : {"stats", "verify", "clear"}) {
    EXPECT_EQ(sandbox().Run({"cache", command, "--cache-dir", LocalDirectory()}).exit_code, 4) << command;
  }
  EXPECT_TRUE(Holds(LocalDirectory() + "/precious", "data"));
}

TEST_F(Query, NoSecretIsEverShown) {
  Put("a", "in S3");
  MountBoth({"--log-level", "trace"});
  ASSERT_TRUE(Holds(At("a"), "in S3"));
  std::ifstream command_line("/proc/" + std::to_string(mount().pid()) + "/cmdline");
  std::vector<std::string> shown = {std::string(std::istreambuf_iterator<char>(command_line), {}),
                                    mount().Status().dump(), mount().Resolve("a").dump(), mount().command().err};
  Unmount();
  shown.push_back(sandbox().Log());
  ASSERT_THAT(shown.back(), HasSubstr("data/a"));
  EXPECT_THAT(shown, Each(Not(HasSubstr(bucket().server().secret_key))));
  EXPECT_THAT(shown, Each(Not(HasSubstr("Signature="))));
}

TEST_F(Query, EveryRequestIsALineOfTheDebugLog) {
  Put("dir/log-me", Pattern(300 * kKiB));
  Put("unlisted/log-me", "a HEAD tells of it");
  MountStore();
  proxy().AddRule({.operation = "GET",
                   .fault = {.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")},
                   .count = 1});
  ASSERT_EQ(ReadWhole(At("dir/log-me")).error, 0);
  proxy().AddRule({.operation = "LIST", .fault = {.answer = S3ErrorAnswer("403 Forbidden", "AccessDenied")}});
  ASSERT_TRUE(Holds(At("unlisted/log-me"), "a HEAD tells of it"));
  Unmount();
  const std::string prefix = "s3://" + bucket().name() + "/data/";
  for (const auto& [method, subject] : {std::pair("HEAD", "HEAD " + prefix + "unlisted/log-me"),
                                        std::pair("GET", "GET " + prefix + "[a-z]+/log-me bytes=[0-9]+-[0-9]+"),
                                        std::pair("LIST", "LIST " + prefix + "[a-z/-]*")}) {
    const std::regex pattern(".* \\[debug\\] " + subject +
                             ": HTTP [1-5][0-9]{2} in [0-9]+ ms, attempt [1-9][0-9]*(: .+)?");
    const std::vector<std::string> lines = RequestLines(method);
    EXPECT_GT(lines.size(), 0U) << method;
    EXPECT_EQ(static_cast<int>(lines.size()), proxy().Count(method));
    for (const std::string& line : lines) EXPECT_TRUE(std::regex_match(line, pattern)) << line;
  }
  EXPECT_EQ(sandbox().CountLogLines({"[debug] GET", "dir/log-me", "HTTP 500", "attempt 1"}), 1);
  EXPECT_EQ(sandbox().CountLogLines({"[debug] GET", "dir/log-me", "HTTP 206"}), proxy().Count("GET", "dir/log-me") - 1);
  EXPECT_GT(sandbox().CountLogLines({"[debug] GET", "dir/log-me", "HTTP 206", "attempt 2"}), 0);
}

TEST_F(Query, HelpOfEachCommandAndTheVersion) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{},
                                                  {"mount"},
                                                  {"umount"},
                                                  {"resolve"},
                                                  {"cat"},
                                                  {"ls"},
                                                  {"status"},
                                                  {"cache"},
                                                  {"cache", "stats"},
                                                  {"cache", "verify"},
                                                  {"cache", "clear"}}) {
    std::vector<std::string> arguments = command;
    arguments.emplace_back("--help");
    const ProcessResult help = sandbox().Run(arguments);
    EXPECT_EQ(help.exit_code, 0) << ::testing::PrintToString(arguments) << help.err;
    EXPECT_THAT(help.out, ContainsRegex("[Uu]sage"));
  }
  EXPECT_EQ(sandbox().Run({"--version"}).exit_code, 0);
  EXPECT_EQ(sandbox().Run({"no-such-command"}).exit_code, 2);
  EXPECT_EQ(sandbox().Run({}).exit_code, 2);
}

}  // namespace
}  // namespace s3overlay::testing
