// SPDX-License-Identifier: Apache-2.0
#include "control/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/control/sample_control.h"

namespace s3overlay {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::vector<std::string> Names(const Json& document) {
  std::vector<std::string> names;
  for (const auto& [name, value] : document.items()) names.push_back(name);
  return names;
}

TEST(Documents, ResolveHasItsFields) {
  const Json document = Json::parse(ResolutionToJson(testing::SampleResolution()));
  EXPECT_EQ(Names(document),
            (std::vector<std::string>{"schema", "path", "mountpoint", "type", "source", "layer", "state", "reason",
                                      "etag", "size", "mtime", "cached_bytes", "complete", "passthrough", "layers"}));
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["size"], UINT64_MAX);
  EXPECT_EQ(document["mtime"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(document["layers"][0]["age_s"], 1.5);
  EXPECT_TRUE(document["layers"][1]["age_s"].is_null());
}

TEST(Documents, CacheStatsHaveTheirFieldsAndOwner) {
  BlockCacheStats stats;
  stats.dir = "/cache";
  const Json free = Json::parse(CacheStatsToJson(stats));
  for (const char* name :
       {"dir", "format", "block_size", "size_limit", "min_free", "bytes", "index_bytes", "objects", "complete_objects",
        "blocks", "hits", "misses", "evictions", "checksum_failures", "clean_stop"}) {
    EXPECT_TRUE(free.contains(name)) << name;
  }
  EXPECT_TRUE(free["owner"].is_null());
  EXPECT_TRUE(free["size_limit"].is_null());
  EXPECT_TRUE(free["min_free"].is_null());
  const Json owned = Json::parse(CacheStatsToJson(stats, CacheOwner{42, "/mnt"}));
  EXPECT_EQ(owned["owner"]["pid"], 42);
  EXPECT_EQ(owned["owner"]["mountpoint"], "/mnt");
  EXPECT_EQ(owned["size_limit"], 0);
}

TEST(Documents, StatusIsTheMountsOwnTree) {
  const Json document = Json::parse(StatusToJson(testing::SampleStatus()));
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["uptime_s"], 1.25);
  EXPECT_EQ(document["layers"][0]["spec"], "s3://b");
  EXPECT_EQ(StatusToText(testing::SampleStatus()),
            "pid: 42\noffset: -1\nuptime_s: 1.2\nready: yes\nnothing: -\n"
            "layers:\n  - spec: s3://b\n    ok: no\nmemory:\n  limit: 18446744073709551615\n");
  const StatusObject with_metrics = {{"pid", {int64_t{42}}}, {"metrics", {StatusObject{{"s3_errors", {uint64_t{7}}}}}}};
  EXPECT_EQ(Json::parse(StatusToJson(with_metrics))["metrics"]["s3_errors"], 7);
  EXPECT_EQ(StatusToText(with_metrics), "pid: 42\n") << "the table of all numbers is for programs";
}

TEST(Documents, TextFromOutsideCannotSteerATerminal) {
  Resolution resolution = testing::SampleResolution();
  resolution.entry.source = "s3://b/\x1b[2J";
  resolution.layers[0].error = "line\nbreak \x1b";
  const std::string text = ResolutionToText(resolution);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("degraded"));
  EXPECT_THAT(text, HasSubstr("cached:            all of it\n"));
  EXPECT_THAT(StatusToText({{"x\x1b", {std::string("\x1b")}}}), ::testing::Not(HasSubstr("\x1b")));
}

TEST(Documents, VerifySaysWhetherAnythingWasDamaged) {
  EXPECT_THAT(VerifyReportToText({.objects = 2, .blocks = 9}), HasSubstr("no damage"));
  EXPECT_THAT(VerifyReportToText({.objects = 2, .blocks = 9, .damaged_blocks = 3}), HasSubstr("3 damaged blocks"));
  EXPECT_EQ(Json::parse(VerifyReportToJson({.damaged_files = 4}))["damaged_files"], 4);
}

TEST(Documents, BytesAreShownInUnitsPeopleRead) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(100ULL << 30), "100.0 GiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16.0 EiB");
}

}  // namespace
}  // namespace s3overlay
