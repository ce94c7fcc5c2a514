// SPDX-License-Identifier: Apache-2.0
#include "credentials/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace s3overlay {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Environment = std::map<std::string, std::string>;

Result<std::optional<Credentials>> Find(Environment environment) {
  return MakeCredentialChain({.environment = std::move(environment)})->Get({});
}

// The message of the expected failure.
std::string Refusal(Environment environment) {
  const auto found = Find(std::move(environment));
  if (found) return "no failure";
  EXPECT_EQ(found.error().code, ErrorCode::kCredentials);
  return found.error().message;
}

TEST(CredentialChain, TheFirstFamilyWinsWhole) {
  const auto found = Find({{"OVH_S3_ACCESS_KEY", "ovh-key"},
                           {"OVH_S3_SECRET_KEY", "ovh-secret"},
                           {"AWS_ACCESS_KEY_ID", "aws-key"},
                           {"AWS_SECRET_ACCESS_KEY", "aws-secret"},
                           {"AWS_SESSION_TOKEN", "aws-token"}});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ((*found)->access_key, "ovh-key");
  EXPECT_EQ((*found)->secret_key, "ovh-secret");
  EXPECT_EQ((*found)->session_token, "");
  EXPECT_EQ((*found)->origin, "OVH_S3_* in the environment");
}

TEST(CredentialChain, EmptyCountsAsUnset) {
  const auto found = Find({{"OVH_S3_ACCESS_KEY", ""},
                           {"OVH_S3_SECRET_KEY", ""},
                           {"AWS_ACCESS_KEY_ID", "aws-key"},
                           {"AWS_SECRET_ACCESS_KEY", "aws-secret"},
                           {"AWS_SESSION_TOKEN", "aws-token"}});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ((*found)->access_key, "aws-key");
  EXPECT_EQ((*found)->session_token, "aws-token");
  EXPECT_FALSE((*found)->expires_at);
}

TEST(CredentialChain, AHalfSetFamilyIsAnErrorEvenWhereAnotherIsWhole) {
  const Environment aws = {{"AWS_ACCESS_KEY_ID", "aws-key"}, {"AWS_SECRET_ACCESS_KEY", "aws-secret"}};
  Environment half = aws;
  half["OVH_S3_ACCESS_KEY"] = "ovh-key";
  EXPECT_THAT(Refusal(half), HasSubstr("OVH_S3_SECRET_KEY is not set"));
  EXPECT_THAT(Refusal({{"AWS_SECRET_ACCESS_KEY", "s"}}), HasSubstr("AWS_ACCESS_KEY_ID is not set"));
  EXPECT_THAT(Refusal({{"AWS_SESSION_TOKEN", "t"}}), HasSubstr("AWS_ACCESS_KEY_ID is not set"));
}

TEST(CredentialChain, StrayWhitespaceIsNamedAndTheValueIsNot) {
  for (const char* secret : {"hidden\n", " hidden", "hidden\r", "\thidden"}) {
    const std::string message = Refusal({{"OVH_S3_ACCESS_KEY", "key"}, {"OVH_S3_SECRET_KEY", secret}});
    EXPECT_THAT(message, HasSubstr("OVH_S3_SECRET_KEY"));
    EXPECT_THAT(message, HasSubstr("space or line break"));
    EXPECT_THAT(message, Not(HasSubstr("hidden")));
  }
  EXPECT_THAT(Refusal({{"OVH_S3_ACCESS_KEY", "k\ney"}, {"OVH_S3_SECRET_KEY", "s"}}), HasSubstr("OVH_S3_ACCESS_KEY"));
}

TEST(CredentialChain, NothingFoundSaysWhatWasTriedAndWhatToDo) {
  const std::string message = Refusal({{"HOME", "/root"}});
  EXPECT_THAT(message, HasSubstr("OVH_S3_* in the environment, AWS_* in the environment"));
  EXPECT_THAT(message, HasSubstr("--no-sign-request"));
}

TEST(CredentialChain, AFileThatIsBeingWrittenTakesNothingAway) {
  const Environment old = {{"AWS_ACCESS_KEY_ID", "old"}, {"AWS_SECRET_ACCESS_KEY", "s"}};
  Environment now = {{"AWS_ACCESS_KEY_ID", "half"}};
  const auto provider = MakeCredentialChain({.environment = old, .reload = [&] { return std::optional(now); }});
  const auto key_after_refusal = [&] {
    provider->Refused(**provider->Get({}));
    const auto found = provider->Get({});
    return found && *found ? (*found)->access_key : found.error().message;
  };
  EXPECT_EQ(key_after_refusal(), "old");
  now = {{"AWS_ACCESS_KEY_ID", "new"}, {"AWS_SECRET_ACCESS_KEY", "s"}};
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // It is read once a second at most.
  EXPECT_EQ(key_after_refusal(), "new");
}

TEST(CredentialChain, AnonymousLooksNowhere) {
  const auto provider = MakeCredentialChain({.environment = {{"OVH_S3_ACCESS_KEY", "half"}}, .anonymous = true});
  const auto found = provider->Get({});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->has_value());
}

}  // namespace
}  // namespace s3overlay
