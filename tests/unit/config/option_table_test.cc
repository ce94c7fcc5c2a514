// SPDX-License-Identifier: Apache-2.0
#include "config/option_table.h"

#include <gtest/gtest.h>

#include <set>

namespace s3overlay {
namespace {

TEST(OptionTable, EveryRowIsWhole) {
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const OptionRow& row : OptionTable()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(row.letter == 0 || letters.insert(row.letter).second) << row.letter << " is there twice";
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_FALSE(row.group.empty()) << row.name;
    EXPECT_EQ(row.value_name.empty(), row.kind == OptionKind::kSwitch) << row.name;
    EXPECT_EQ(FindOption(row.name), &row);
  }
  EXPECT_EQ(FindOption("no-such-option"), nullptr);
}

TEST(OptionTable, AFailureNamesTheOptionAsItWasGiven) {
  for (const char* const name : {"cache-size", "metadata-ttl", "on-outage", "addressing", "uid", "file-mode",
                                 "log-level", "log-format", "block-size", "memory-limit", "op-timeout"}) {
    ConfigDraft draft;
    const Result<void> applied = ApplySettings({{name, Setting{{"wrong!"}, "HERE"}}}, draft);
    ASSERT_FALSE(applied) << name;
    EXPECT_EQ(applied.error().code, ErrorCode::kInvalidArgument) << name;
    EXPECT_TRUE(applied.error().message.starts_with("HERE: ")) << applied.error().message;
  }
}

TEST(OptionTable, TheEnvironmentNamesOptions) {
  EXPECT_EQ(EnvironmentName("cache-min-free"), "S3OVERLAY_CACHE_MIN_FREE");
  const Settings settings = SettingsOf({{"S3OVERLAY_CACHE_SIZE", "1G"},
                                        {"S3OVERLAY_LAYER", "s3://a/x y\n/data,z\n"},
                                        {"S3OVERLAY_REGION", ""},
                                        {"S3OVERLAY_NOBODY_KNOWS", "x"}});
  EXPECT_EQ(settings.size(), 2U);
  EXPECT_EQ(settings.at("layer").values, (std::vector<std::string>{"s3://a/x y", "/data,z"}));
}

}  // namespace
}  // namespace s3overlay
