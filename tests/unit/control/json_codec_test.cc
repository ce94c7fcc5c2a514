// SPDX-License-Identifier: Apache-2.0
#include "control/json_codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/control/sample_control.h"

namespace s3overlay {
namespace {

TEST(JsonCodec, ARequestComesBackTheSame) {
  const std::string line = EncodeRequest({"resolve", "a\nb\xff", 1.5});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto request = DecodeRequest(line);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->call, "resolve");
  EXPECT_EQ(request->path, "a\nb\xff");
  EXPECT_EQ(request->timeout_s, 1.5);
}

TEST(JsonCodec, AResolutionComesBackTheSame) {
  const Resolution sent = testing::SampleResolution();
  const auto got = DecodeResolution(EncodeAnswer(Result<Resolution>(sent)));
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->path, sent.path);
  EXPECT_EQ(got->mountpoint, sent.mountpoint);
  EXPECT_EQ(got->entry.attributes.type, sent.entry.attributes.type);
  EXPECT_EQ(got->entry.attributes.size, sent.entry.attributes.size);
  EXPECT_EQ(got->entry.attributes.mtime, sent.entry.attributes.mtime);
  EXPECT_EQ(got->entry.attributes.mode, sent.entry.attributes.mode);
  EXPECT_EQ(got->entry.source, sent.entry.source);
  EXPECT_EQ(got->entry.version, sent.entry.version);
  EXPECT_EQ(got->entry.etag, sent.entry.etag);
  EXPECT_EQ(got->entry.immutable, sent.entry.immutable);
  EXPECT_EQ(got->entry.readable, sent.entry.readable);
  EXPECT_EQ(got->entry.state, sent.entry.state);
  EXPECT_EQ(got->entry.reason, sent.entry.reason);
  EXPECT_EQ(got->entry.layer, sent.entry.layer);
  EXPECT_EQ(got->entry.ttl, sent.entry.ttl);
  EXPECT_EQ(got->cache.bytes, sent.cache.bytes);
  EXPECT_TRUE(got->cache.complete);
  EXPECT_TRUE(got->passthrough);
  ASSERT_EQ(got->layers.size(), 2u);
  EXPECT_EQ(got->layers[0].error, "timed out");
  EXPECT_EQ(got->layers[0].age_s, 1.5);
  EXPECT_EQ(got->layers[1].answer, "yes");
  EXPECT_EQ(got->layers[1].age_s, std::nullopt);
}

TEST(JsonCodec, AStatusKeepsItsOrderAndItsTypes) {
  const auto got = DecodeStatus(EncodeAnswer(Result<StatusObject>(testing::SampleStatus())));
  ASSERT_TRUE(got) << got.error().message;
  std::vector<std::string> names;
  for (const auto& [name, value] : *got) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"pid", "offset", "uptime_s", "ready", "nothing", "layers", "memory"}));
  EXPECT_EQ(std::get<uint64_t>((*got)[0].second.value), 42u);
  EXPECT_EQ(std::get<int64_t>((*got)[1].second.value), -1);
  EXPECT_EQ(std::get<double>((*got)[2].second.value), 1.25);
  EXPECT_TRUE(std::holds_alternative<std::monostate>((*got)[4].second.value));
  EXPECT_EQ(std::get<uint64_t>(std::get<StatusObject>((*got)[6].second.value)[0].second.value), UINT64_MAX);
}

TEST(JsonCodec, StatsAndReportsComeBackTheSame) {
  testing::SampleControl control;
  const auto stats = DecodeCacheStats(EncodeAnswer(control.GetCacheStats()));
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->dir, "/var/cache/\xff");
  EXPECT_EQ(stats->format, 3);
  EXPECT_EQ(stats->hits, 17u);
  EXPECT_FALSE(stats->clean_stop);
  const Result<CacheVerifyReport> report = CacheVerifyReport{1, 2, 3, 4};
  const auto got = DecodeVerifyReport(EncodeAnswer(report));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->damaged_blocks, 3u);
  EXPECT_EQ(got->damaged_files, 4u);
}

TEST(JsonCodec, EveryErrorCodeComesBackTheSame) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kSystem); ++i) {
    const Error sent{static_cast<ErrorCode>(i), "why", i};
    const auto got = DecodeDone(EncodeAnswer(Result<void>(sent)));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, sent.code);
    EXPECT_EQ(got.error().message, "why");
    EXPECT_EQ(got.error().sys_errno, i);
  }
}

TEST(JsonCodec, NonsenseIsAnErrorAndNothingElse) {
  const std::string deep(20'000, '[');
  for (const std::string& line : std::vector<std::string>{
           "", "{", "null", "[]", "1", "{}", "{\"call\": 1}", "{\"call\": \"x\", \"path\": 7}", "\xff\xfe",
           "{\"call\": \"x\", \"path\": {\"hex\": 1}}", "{\"call\": \"x\", \"timeout_s\": \"long\"}", deep}) {
    const auto request = DecodeRequest(line);
    ASSERT_FALSE(request) << line.substr(0, 80);
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(DecodeStatus(line).error().code, ErrorCode::kBadResponse);
  }
  for (const char* answer : {"{\"ok\": true}", "{\"ok\": 1, \"result\": {}}", "{\"ok\": true, \"result\": {}}",
                             "{\"ok\": true, \"result\": []}", "{\"ok\": false}"}) {
    EXPECT_EQ(DecodeResolution(answer).error().code, ErrorCode::kBadResponse) << answer;
  }
}

// The library would cast these, and a cast of what does not fit is undefined.
TEST(JsonCodec, NumbersThatDoNotFitAreRefused) {
  for (const char* number : {"1.33e46", "-1", "1.5", "18446744073709551616", "true", "\"1\"", "null"}) {
    const std::string report = fmt::format(
        R"({{"ok":true,"result":{{"objects":{},"blocks":2,"damaged_blocks":0,"damaged_files":0}}}})", number);
    EXPECT_EQ(DecodeVerifyReport(report).error().code, ErrorCode::kBadResponse) << number;
  }
}

// A reader that goes down with each bracket would run out of stack.
TEST(JsonCodec, DeepNestingIsRefused) {
  for (const size_t depth : {size_t{100}, size_t{200'000}}) {
    const std::string deep = std::string(depth, '[') + std::string(depth, ']');
    EXPECT_EQ(DecodeStatus("{\"ok\":true,\"result\":{\"a\":" + deep + "}}").error().code, ErrorCode::kBadResponse);
    EXPECT_EQ(DecodeRequest("{\"call\":\"status\",\"more\":" + deep + "}").error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace s3overlay
