// SPDX-License-Identifier: Apache-2.0
//
// What a user types, and what comes back before anything is mounted or asked: help, mistakes, exit codes.
#include "cli/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/exit_code.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome RunWords(const Words& words) {
  std::vector<const char*> argv = {"s3overlay"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(CommandLine, HelpOfTheProgramNamesEveryCommandAndExitCode) {
  const Outcome outcome = RunWords({"--help"});
  EXPECT_EQ(outcome.code, kExitOk);
  for (const char* const text : {"mount", "umount", "resolve", "cat", "ls", "status", "cache", "4 not found"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
}

TEST(CommandLine, EveryCommandExplainsItself) {
  for (const Words& command : std::vector<Words>{{"mount"},
                                                 {"umount"},
                                                 {"resolve"},
                                                 {"cat"},
                                                 {"ls"},
                                                 {"status"},
                                                 {"cache", "stats"},
                                                 {"cache", "clear"},
                                                 {"cache", "verify"}}) {
    Words words = command;
    words.emplace_back("--help");
    const Outcome outcome = RunWords(words);
    EXPECT_EQ(outcome.code, kExitOk) << command.back();
    EXPECT_THAT(outcome.out, HasSubstr("s3overlay " + command.front())) << "it has no example";
  }
  EXPECT_THAT(RunWords({"mount", "--help"}).out,
              AllOf(HasSubstr("--layer"), HasSubstr("--on-outage"), HasSubstr("--cache-dir"), HasSubstr("--env-file")));
  EXPECT_THAT(RunWords({"cat", "--help"}).out, AllOf(HasSubstr("--endpoint"), HasSubstr("--lines")));
}

TEST(CommandLine, TheVersion) {
  const Outcome outcome = RunWords({"--version"});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_THAT(outcome.out, HasSubstr("s3overlay " S3OVERLAY_VERSION));
}

TEST(CommandLine, MistakesAreUsageErrorsAndNamed) {
  const std::string missing = "/no/such/directory";
  for (const auto& [words, named] : std::vector<std::pair<Words, std::string>>{
           {{}, "command"},
           {{"mont"}, "mont"},
           {{"mount"}, ""},
           {{"mount", "--no-such-option", missing}, "--no-such-option"},
           {{"mount", "s3://bucket", missing, "extra"}, "MOUNTPOINT"},
           {{"mount", "--layer"}, "--layer"},
           {{"mount", "--cache-size", "much", "s3://bucket", missing}, "--cache-size"},
           {{"mount", "--metadata-ttl", "-1s", "s3://bucket", missing}, "--metadata-ttl"},
           {{"mount", "s3://bucket", missing}, missing},
           {{"umount"}, ""},
           {{"resolve"}, ""},
           {{"cat", "s3://bucket/key", "--lines", "-1"}, "lines"},
           {{"cat", "s3://bucket/key", "--lines", "few"}, "lines"},
           {{"ls", "/no/bucket"}, "/no/bucket"},
           {{"cache"}, ""},
           {{"cache", "shrink"}, ""},
           {{"cache", "stats", "/mnt", "--cache-dir", "/cache"}, "--cache-dir"}}) {
    const Outcome outcome = RunWords(words);
    EXPECT_EQ(outcome.code, kExitUsage) << ::testing::PrintToString(words) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(named)) << ::testing::PrintToString(words);
    EXPECT_EQ(outcome.out, "") << "errors belong on standard error";
  }
}

TEST(CommandLine, WhatIsNotThereIsNotFound) {
  const testing::TempDir dir;
  dir.Write("file", "data");
  const std::string path = dir.path();
  for (const Words& words : std::vector<Words>{{"umount", path},
                                               {"status", path},
                                               {"resolve", path + "/file"},
                                               {"cat", path + "/missing"},
                                               {"cache", "stats", "--cache-dir", path},
                                               {"cache", "clear", "--cache-dir", path},
                                               {"cache", "verify", "--cache-dir", path + "/missing"}}) {
    const Outcome outcome = RunWords(words);
    EXPECT_EQ(outcome.code, kExitNotFound) << ::testing::PrintToString(words) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(path));
  }
  EXPECT_TRUE(std::filesystem::exists(dir / "file"));
}

TEST(ExitCodes, AreForScripts) {
  for (const auto& [code, expected] : std::vector<std::pair<ErrorCode, int>>{{ErrorCode::kNotFound, kExitNotFound},
                                                                             {ErrorCode::kUnavailable, kExitTemporary},
                                                                             {ErrorCode::kTimedOut, kExitTemporary},
                                                                             {ErrorCode::kThrottled, kExitTemporary},
                                                                             {ErrorCode::kDenied, kExitDenied},
                                                                             {ErrorCode::kCredentials, kExitDenied},
                                                                             {ErrorCode::kMisconfigured, kExitUsage},
                                                                             {ErrorCode::kInvalidArgument, kExitUsage},
                                                                             {ErrorCode::kSystem, kExitError}}) {
    EXPECT_EQ(ExitCodeOf({code, "x"}), expected) << ErrorCodeName(code);
  }
}

}  // namespace
}  // namespace s3overlay
