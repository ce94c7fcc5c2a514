// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

TEST(ConfigFile, OptionsAndLayers) {
  const Result<ConfigFile> file = ParseConfigFile(
      "cache-size = \"10G\"\n"
      "metadata_ttl = 30\n"
      "no-cache = false\n"
      "[[layer]]\n"
      "spec = \"s3://bucket/a\"\n"
      "at = \"deep/a\"\n"
      "endpoint = \"https://s3.example\"\n"
      "[[layer]]\n"
      "spec = \"/data\"\n",
      "mount.toml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->settings.at("cache-size").values, std::vector<std::string>{"10G"});
  EXPECT_EQ(file->settings.at("metadata-ttl").values, std::vector<std::string>{"30"});
  EXPECT_EQ(file->settings.at("no-cache").values, std::vector<std::string>{"false"});
  ASSERT_EQ(file->layers.size(), 2U);
  EXPECT_EQ(file->layers[0].spec, "s3://bucket/a");
  EXPECT_EQ(file->layers[0].at, "deep/a");
  EXPECT_EQ(file->layers[0].endpoint, "https://s3.example");
  EXPECT_EQ(file->layers[1].spec, "/data");
}

TEST(ConfigFile, WhatIsWrongIsShownWithItsLine) {
  for (const auto& [text, where] :
       std::vector<std::pair<const char*, const char*>>{{"\ncache-sise = 1\n", "m.toml:2"},
                                                        {"no-cache = \"x\n", "m.toml:1"},
                                                        {"\n\n[[layer]]\nspek = \"s3://b\"\n", "m.toml:"},
                                                        {"[[layer]]\nat = \"x\"\n", "m.toml:1"},
                                                        {"endpoint = [1]\n", "m.toml:1"},
                                                        {"layer = 3\n", "m.toml:1"}}) {
    const Result<ConfigFile> file = ParseConfigFile(text, "m.toml");
    ASSERT_FALSE(file) << text;
    EXPECT_EQ(file.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_NE(file.error().message.find(where), std::string::npos) << file.error().message;
  }
}

}  // namespace
}  // namespace s3overlay
