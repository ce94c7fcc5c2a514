// SPDX-License-Identifier: Apache-2.0
#include "config/environment.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

TEST(EnvFile, LinesWithExportQuotesAndComments) {
  const Result<Environment> read = ParseEnvFile(
      "# of the store\n"
      "\n"
      "PLAIN=a value # and why\n"
      "export EXPORTED=b\r\n"
      "SINGLE='c # $HOME \\'\n"
      "DOUBLE=\"d \\\"quoted\\\" \\$x\"  # comment\n"
      "HASH=e#f\n"
      "EMPTY=\n"
      "EQUALS=g==",
      "file");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (Environment{{"PLAIN", "a value"},
                                {"EXPORTED", "b"},
                                {"SINGLE", "c # $HOME \\"},
                                {"DOUBLE", "d \"quoted\" $x"},
                                {"HASH", "e#f"},
                                {"EMPTY", ""},
                                {"EQUALS", "g=="}}));
}

TEST(EnvFile, ABadLineIsNamedByItsNumberAndNotShown) {
  for (const char* const line :
       {"just secret words", "1A=secret", "=secret", "A='secret", "A=\"secret", "A B=secret"}) {
    const Result<Environment> read = ParseEnvFile(std::string("GOOD=1\n") + line + "\n", "the/file");
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(read.error().message.find("the/file:2"), std::string::npos) << read.error().message;
    EXPECT_EQ(read.error().message.find("secret"), std::string::npos) << read.error().message;
  }
}

TEST(EnvFile, AFileThatIsNotThereIsAWrongSetting) {
  const Result<Environment> read = ReadEnvFile("/no/such/file");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(read.error().message.find("/no/such/file"), std::string::npos);
}

TEST(EnvFile, TheRealEnvironmentBeatsIt) {
  Environment environment = {{"SET", "real"}, {"EMPTY", ""}};
  AddMissing(environment, {{"SET", "file"}, {"EMPTY", "file"}, {"NEW", "file"}});
  EXPECT_EQ(environment, (Environment{{"SET", "real"}, {"EMPTY", "file"}, {"NEW", "file"}}));
}

}  // namespace
}  // namespace s3overlay
