// SPDX-License-Identifier: Apache-2.0
//
// From everything that was given to a MountConfig: precedence, families of credentials, layers.
#include "config/load_config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using std::chrono::seconds;
using testing::TempDir;

class LoadConfig : public ::testing::Test {
 protected:
  void Give(const std::string& option, std::vector<std::string> values) {
    line_.options[option] = Setting{std::move(values), "--" + option};
  }
  Result<MountConfig> Load() { return LoadMountConfig(line_, environment_); }

  // A success, or a test failure and the defaults.
  MountConfig Loaded() {
    Result<MountConfig> config = Load();
    EXPECT_TRUE(config) << config.error().message;
    return config ? *std::move(config) : MountConfig();
  }
  void ExpectRefused(const std::string& because) {
    const Result<MountConfig> config = Load();
    ASSERT_FALSE(config) << because;
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(config.error().message.find(because), std::string::npos) << config.error().message;
  }

  const TempDir dir_;
  CommandLine line_{.options = {}, .short_spec = "s3://bucket/prefix", .mountpoint = "/no/such/mnt"};
  Environment environment_{{"HOME", "/home/u"}};
};

TEST_F(LoadConfig, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  EXPECT_EQ(Loaded().metadata_ttl, seconds(60));
  Give("config", {dir_.Write("m.toml", "metadata-ttl = \"1s\"\nnegative-ttl = \"2s\"\nop-timeout = 7\n")});
  EXPECT_EQ(Loaded().metadata_ttl, seconds(1));
  environment_["S3OVERLAY_METADATA_TTL"] = "3";
  environment_["S3OVERLAY_NEGATIVE_TTL"] = "4";
  EXPECT_EQ(Loaded().metadata_ttl, seconds(3));
  Give("metadata-ttl", {"5s"});
  const MountConfig config = Loaded();
  EXPECT_EQ(config.metadata_ttl, seconds(5));
  EXPECT_EQ(config.negative_ttl, seconds(4));
  EXPECT_EQ(config.op_timeout, seconds(7));
}

TEST_F(LoadConfig, AnEnvFileGivesSettingsAndCredentialsBelowTheEnvironment) {
  Give("env-file", {dir_.Write("env", "AWS_ACCESS_KEY_ID=of-file\nAWS_REGION=of-file\nS3OVERLAY_METADATA_TTL=9\n")});
  environment_["AWS_REGION"] = "of-process";
  const MountConfig config = Loaded();
  EXPECT_EQ(config.environment.at("AWS_ACCESS_KEY_ID"), "of-file");
  EXPECT_EQ(config.store.region, "of-process");
  EXPECT_EQ(config.metadata_ttl, seconds(9));
}

TEST_F(LoadConfig, KeysOfTheEnvironmentAreNotMixedWithThoseOfAnEnvFile) {
  const auto file =
      dir_.Write("env", "AWS_SESSION_TOKEN=of-file\nOVH_S3_ACCESS_KEY=of-file\nOVH_S3_SECRET_KEY=of-file\n");
  Give("env-file", {file});
  environment_["AWS_ACCESS_KEY_ID"] = environment_["AWS_SECRET_ACCESS_KEY"] = "of-process";
  environment_["AWS_ENDPOINT_URL"] = "http://aws:1";
  environment_["OVH_S3_ENDPOINT"] = "http://ovh:1";
  const MountConfig config = Loaded();
  EXPECT_EQ(config.environment, environment_);
  EXPECT_EQ(config.store.endpoint, "http://aws:1") << "that of the keys which are used";
  EXPECT_EQ(config.reload_environment(), environment_) << "nor when the file is read again";
  environment_.erase("AWS_ACCESS_KEY_ID");
  environment_.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(Loaded().environment.at("OVH_S3_SECRET_KEY"), "of-file");
  EXPECT_EQ(Loaded().store.endpoint, "http://ovh:1");
}

TEST_F(LoadConfig, TheFilesOfSettingsAreKnownByTheirAbsolutePaths) {
  EXPECT_EQ(Loaded().config_file, "");
  EXPECT_EQ(Loaded().env_file, "");
  const std::string config_file = dir_.Write("m.toml", "");
  const std::string env_file = dir_.Write("env", "S3OVERLAY_CONFIG=" + config_file + "\n");
  Give("env-file", {std::filesystem::relative(env_file)});
  const MountConfig config = Loaded();
  EXPECT_EQ(config.env_file, env_file);
  EXPECT_EQ(config.config_file, config_file);
}

TEST_F(LoadConfig, TheStoreIsThatOfTheFamilyWithTheKeys) {
  EXPECT_EQ(Loaded().store.region, "us-east-1");
  EXPECT_EQ(Loaded().store.endpoint, "https://s3.us-east-1.amazonaws.com");
  environment_ = {{"AWS_ACCESS_KEY_ID", "k"},
                  {"AWS_ENDPOINT_URL", "http://aws:1"},
                  {"AWS_DEFAULT_REGION", "aws-region"},
                  {"OVH_S3_ENDPOINT", "http://ovh:1"},
                  {"OVH_S3_REGION", "ovh-region"}};
  EXPECT_EQ(Loaded().store.endpoint, "http://aws:1");
  EXPECT_EQ(Loaded().store.region, "aws-region");
  environment_["OVH_S3_ACCESS_KEY"] = "k";
  EXPECT_EQ(Loaded().store.endpoint, "http://ovh:1");
  EXPECT_EQ(Loaded().store.region, "ovh-region");
  Give("endpoint", {"HTTPS://Flag.example:443/"});
  EXPECT_EQ(Loaded().store.endpoint, "https://flag.example");
}

TEST_F(LoadConfig, TheShortFormEndsWithTheCoveredDirectory) {
  const MountConfig config = Loaded();
  ASSERT_EQ(config.layers.size(), 2U);
  EXPECT_TRUE(config.layers[0].is_s3);
  EXPECT_EQ(config.layers[0].prefix, "prefix");
  EXPECT_EQ(config.layers[0].store, config.store);
  EXPECT_TRUE(config.layers[1].is_covered);
  EXPECT_EQ(config.layers[1].directory, "/no/such/mnt");
}

TEST_F(LoadConfig, TheEnvironmentMayNameTheBucketOfTheShortForm) {
  line_.short_spec.clear();
  ExpectRefused("--layer");
  environment_["S3_BUCKET"] = "named";
  const MountConfig config = Loaded();
  ASSERT_EQ(config.layers.size(), 2U);
  EXPECT_EQ(config.layers[0].bucket, "named");
  EXPECT_TRUE(config.layers[1].is_covered);
}

TEST_F(LoadConfig, LayersOfFlagsAreAllThereAre) {
  line_.short_spec.clear();
  Give("config", {dir_.Write("m.toml", "[[layer]]\nspec = \"s3://of-file\"\nendpoint = \"http://own:1\"\n")});
  ASSERT_EQ(Loaded().layers.size(), 1U);
  EXPECT_EQ(Loaded().layers[0].store.endpoint, "http://own:1");
  Give("layer", {"s3://first", "at/b=/second"});
  const MountConfig config = Loaded();
  ASSERT_EQ(config.layers.size(), 2U);
  EXPECT_EQ(config.layers[0].bucket, "first");
  EXPECT_EQ(config.layers[1].at, "at/b");
  line_.short_spec = "s3://and-this";
  ExpectRefused("--layer");
}

TEST_F(LoadConfig, SwitchesMayBeSwitchedOffAgain) {
  EXPECT_TRUE(Loaded().cache.enabled);
  environment_["S3OVERLAY_NO_CACHE"] = "yes";
  EXPECT_FALSE(Loaded().cache.enabled);
  environment_["S3OVERLAY_NO_CACHE"] = "no";
  EXPECT_TRUE(Loaded().cache.enabled);
}

TEST_F(LoadConfig, TheLogGoesToSyslogOnlyInTheBackgroundWithoutAFile) {
  EXPECT_TRUE(Loaded().log.to_syslog);
  Give("log-file", {"relative.log"});
  EXPECT_FALSE(Loaded().log.to_syslog);
  EXPECT_TRUE(Loaded().log.file.starts_with("/")) << "the daemon has another working directory";
  line_.options.erase("log-file");
  Give("foreground", {"true"});
  EXPECT_FALSE(Loaded().log.to_syslog);
}

TEST_F(LoadConfig, WhatIsWrongIsNamedByItsPlace) {
  environment_["S3OVERLAY_CACHE_SIZE"] = "much";
  ExpectRefused("S3OVERLAY_CACHE_SIZE");
  environment_.erase("S3OVERLAY_CACHE_SIZE");
  Give("config", {"/no/such.toml"});
  ExpectRefused("/no/such.toml");
  Give("config", {dir_.Write("m.toml", "\nregion = \"no region!\"\n")});
  ExpectRefused("no region!");
  Give("config", {dir_.Write("m.toml", "\n\nblock-size = 5\n")});
  ExpectRefused("m.toml:3");
  line_.options.clear();
  Give("endpoint", {"ftp://x"});
  ExpectRefused("--endpoint");
}

TEST_F(LoadConfig, ToolsNeedNoMountpointAndNoCache) {
  environment_["OVH_S3_BUCKET"] = "named";
  const Result<MountConfig> config = LoadToolConfig({{"region", {{"r"}, "--region"}}}, environment_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->store.region, "r");
  EXPECT_EQ(config->default_bucket, "named");
  EXPECT_FALSE(config->cache.enabled);
}

}  // namespace
}  // namespace s3overlay
