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
