// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "support/temp_dir.h"

namespace s3overlay {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Log, KeysCannotForgeALine) {
  const testing::TempDir dir;
  const std::string file = dir / "log";
  ASSERT_TRUE(StartLogging({.file = file}));
  log::Info("key {}", "a\nb\x1b[31m");
  FlushLog();
  const std::string text = ReadFile(file);
  EXPECT_NE(text.find("key a\\x0ab\\x1b[31m\n"), std::string::npos) << text;
  ASSERT_TRUE(StartLogging({}));
}

TEST(Log, FileIsForItsOwnerOnly) {
  const testing::TempDir dir;
  const std::string file = dir / "log";
  ASSERT_TRUE(StartLogging({.file = file}));
  struct stat attributes{};
  ASSERT_EQ(::stat(file.c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_mode & 0777, 0600U);
  ASSERT_TRUE(StartLogging({}));
}

TEST(Log, FileIsForItsOwnerOnlyWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    const testing::TempDir dir;
    const std::string file = dir / "log";
    const mode_t before = ::umask(mask);
    const Result<void> started = StartLogging({.file = file});
    ::umask(before);
    ASSERT_TRUE(started);
    struct stat attributes{};
    ASSERT_EQ(::stat(file.c_str(), &attributes), 0);
    EXPECT_EQ(attributes.st_mode & 0777, 0600U) << mask;
    ASSERT_TRUE(StartLogging({}));
  }
}

TEST(Log, WhatIsNoTextIsEscaped) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(EscapeControlCharacters(text), text);
  EXPECT_EQ(EscapeControlCharacters("\xff"), "\\xff");
  EXPECT_EQ(EscapeControlCharacters("\xC3"), "\\xc3");
  EXPECT_EQ(EscapeControlCharacters("\xC2\x9B"
                                    "31m"),
            "\\xc2\\x9b"
            "31m")
      << "a terminal would take it for a command";
  EXPECT_EQ(EscapeControlCharacters("\xED\xA0\x80\xC0\x80"), "\\xed\\xa0\\x80\\xc0\\x80");
  EXPECT_EQ(EscapeControlCharacters("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Log, JsonLinesQuoteTheirText) {
  const testing::TempDir dir;
  const std::string file = dir / "log";
  ASSERT_TRUE(StartLogging({.format = LogFormat::kJson, .file = file}));
  log::Warning("say \"hi\"");
  FlushLog();
  EXPECT_NE(ReadFile(file).find(R"("level":"warning","message":"say \"hi\"")"), std::string::npos);
  ASSERT_TRUE(StartLogging({}));
}

TEST(Log, LevelsParseAndUnknownOnesAreRefused) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("warn"), LogLevel::kWarning);
  EXPECT_FALSE(ParseLogLevel("loud"));
}

}  // namespace
}  // namespace s3overlay
