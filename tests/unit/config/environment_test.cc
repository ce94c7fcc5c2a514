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
  const Environment process = {{"SET", "real"}, {"EMPTY", ""}};
  EXPECT_EQ(MergeEnvFile(process, {{"SET", "file"}, {"EMPTY", "file"}, {"NEW", "file"}}),
            (Environment{{"SET", "real"}, {"EMPTY", "file"}, {"NEW", "file"}}));
}

const Environment kFileOfKeys = {{"OVH_S3_ACCESS_KEY", "file"}, {"OVH_S3_SECRET_KEY", "file"},
                                 {"AWS_ACCESS_KEY_ID", "file"}, {"AWS_SECRET_ACCESS_KEY", "file"},
                                 {"AWS_SESSION_TOKEN", "file"}, {"OVH_S3_ENDPOINT", "file"},
                                 {"AWS_REGION", "file"},        {"OVH_S3_BUCKET", "file"}};

TEST(EnvFile, ItsKeysAreLeftOutWhereTheRealEnvironmentHasAny) {
  for (const char* const key :
       {"OVH_S3_ACCESS_KEY", "OVH_S3_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}) {
    EXPECT_EQ(
        MergeEnvFile({{key, "real"}, {"AWS_REGION", "real"}}, kFileOfKeys),
        (Environment{{key, "real"}, {"AWS_REGION", "real"}, {"OVH_S3_ENDPOINT", "file"}, {"OVH_S3_BUCKET", "file"}}))
        << key;
  }
}

TEST(EnvFile, ItsKeysAreTakenWholeWhereTheRealEnvironmentHasNone) {
  Environment process;
  for (const auto& [name, value] : kFileOfKeys) process[name] = "";
  EXPECT_EQ(MergeEnvFile(process, kFileOfKeys), kFileOfKeys);
  EXPECT_EQ(MergeEnvFile({}, kFileOfKeys), kFileOfKeys);
}

}  // namespace
}  // namespace s3overlay
