// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <gtest/gtest.h>

#include <chrono>

namespace s3overlay {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <typename T>
void ExpectRefused(const Result<T>& result, std::string_view text) {
  ASSERT_FALSE(result) << text;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument) << text;
  EXPECT_NE(result.error().message.find(text), std::string::npos) << "does not show what is wrong: " << text;
}

TEST(Values, SizesAreBinaryUnlessTheySayKb) {
  for (const auto& [text, bytes] : std::vector<std::pair<const char*, uint64_t>>{{"0", 0},
                                                                                 {"4096", 4096},
                                                                                 {"17B", 17},
                                                                                 {"64K", 65536},
                                                                                 {"64KiB", 65536},
                                                                                 {"64KB", 64000},
                                                                                 {"10GiB", uint64_t{10} << 30},
                                                                                 {"1.5G", uint64_t{3} << 29},
                                                                                 {"2T", uint64_t{2} << 40}}) {
    const Result<uint64_t> size = ParseSize(text);
    ASSERT_TRUE(size) << text;
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(Values, WhatIsNoSizeIsRefused) {
  for (const char* const text : {"much", "-1", "-1K", "1X", "1KiBs", "nan", "1e400", "99999999T", "0x10"}) {
    ExpectRefused(ParseSize(text), text);
  }
  EXPECT_FALSE(ParseSize(""));
}

TEST(Values, DurationsHaveUnitsOrAreSeconds) {
  for (const auto& [text, time] : std::vector<std::pair<const char*, Duration>>{{"0", seconds(0)},
                                                                                {"30", seconds(30)},
                                                                                {"500ms", milliseconds(500)},
                                                                                {"30s", seconds(30)},
                                                                                {"1.5s", milliseconds(1500)},
                                                                                {"5m", seconds(300)},
                                                                                {"1h", hours(1)},
                                                                                {"2d", hours(48)}}) {
    const Result<Duration> duration = ParseDuration(text);
    ASSERT_TRUE(duration) << text;
    EXPECT_EQ(*duration, time) << text;
  }
  for (const char* const text : {"-1s", "soon", "1y", "5 minutes", "99999999d", "inf"}) {
    ExpectRefused(ParseDuration(text), text);
  }
}

TEST(Values, SharesAreOfTheWhole) {
  const Result<SizeOrPercent> share = ParseSizeOrPercent("10%");
  ASSERT_TRUE(share);
  EXPECT_EQ(share->Of(1000), 100U);
  const Result<SizeOrPercent> size = ParseSizeOrPercent("1K");
  ASSERT_TRUE(size);
  EXPECT_EQ(size->Of(1000), 1024U);
  for (const char* const text : {"101%", "-1%", "ten%", "%"}) ExpectRefused(ParseSizeOrPercent(text), text);
}

TEST(Values, SwitchesAndNumbers) {
  for (const char* const text : {"true", "yes", "on", "1"}) EXPECT_TRUE(*ParseSwitch(text)) << text;
  for (const char* const text : {"false", "no", "off", "0"}) EXPECT_FALSE(*ParseSwitch(text)) << text;
  ExpectRefused(ParseSwitch("maybe"), "maybe");
  EXPECT_EQ(*ParseNumber("0644", 8, 0777), 0644U);
  EXPECT_EQ(*ParseNumber("1000", 10, 65535), 1000U);
  for (const char* const text : {"0888", "1777", "-1", "rw"}) ExpectRefused(ParseNumber(text, 8, 0777), text);
}

TEST(Values, ListsSkipWhatIsEmpty) {
  EXPECT_EQ(SplitList(" a, b c ,,", ','), (std::vector<std::string>{"a", "b c"}));
  EXPECT_TRUE(SplitList(" ", ',').empty());
}

}  // namespace
}  // namespace s3overlay
