// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md: one handle, one version, right bytes or none (rows 11, 12, 14).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>

#include "mount/semantics_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;

TEST_F(Semantics, Row11_AHandleKeepsItsVersionAndANewOneSeesTheNew) {
  const std::string object = PutAndCacheTheMiddle("a");
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  const std::string next = Pattern(object.size(), 3);
  Put("a", next);
  EXPECT_EQ(ReadAt(fd.get(), 0, kBlock).error, ESTALE);
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), next)); }));
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  EXPECT_EQ(ReadAt(fd.get(), 0, kBlock).error, ESTALE);
}

TEST_F(Semantics, Row11_WhatIsInTheCacheIsReadToTheEnd) {
  const std::string object = Pattern(2 * kMiB);
  const std::string next = Pattern(3 * kMiB, 2);
  Put("a", object);
  MountStore();
  const UniqueFd fd(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(Holds(At("a"), object));
  ASSERT_TRUE(ComesToCache("a"));
  Put("a", next);
  ASSERT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), next)); }));
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), 0, 4 * kMiB), object));
  EXPECT_EQ(StatOf(At("a")).st_size, static_cast<off_t>(next.size()));
}

TEST_F(Semantics, Row11_OfAVersionedStoreTheOpenVersionIsRead) {
  ASSERT_EQ(RunBoto("s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={'Status': 'Enabled'})"), 0);
  const std::string object = Pattern(16 * kMiB);
  Put("a", object);
  MountStore();
  const UniqueFd fd = OpenDirect(At("a"));
  // The first answer tells the id; no listing does.
  ASSERT_TRUE(SameBytes(ReadAt(fd.get(), 0, kBlock), object.substr(0, kBlock)));
  Put("a", "new");
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  Delete("a");
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle * 3 / 2, kBlock), object.substr(kMiddle * 3 / 2, kBlock)));
  EXPECT_GT(proxy().Count("GET", "versionId="), 0);
  EXPECT_EQ(RunBoto("kept = s3.list_object_versions(Bucket=bucket)\n"
                    "for v in kept['Versions'] + kept['DeleteMarkers']:\n"
                    "  s3.delete_object(Bucket=bucket, Key=v['Key'], VersionId=v['VersionId'])"),
            0);
}

TEST_F(Semantics, Row12_AHandleOfADeletedObjectGoesOnFromTheCache) {
  const std::string object = PutAndCacheTheMiddle("a");
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  Delete("a");
  EXPECT_EQ(ReadAt(fd.get(), 0, kBlock).error, ESTALE);
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
  EXPECT_TRUE(ComesToState("a", "fallback"));
  EXPECT_TRUE(Holds(At("a"), Pattern(object.size(), 2)));
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
}

TEST_F(Semantics, Row14_ACutAnswerIsSentForAgain) {
  const std::string object = Pattern(3 * kMiB);
  Put("a", object);
  MountStore();
  proxy().AddRule({.operation = "GET", .fault = {.cut_after = 100'000}, .count = 1});
  proxy().AddRule({.operation = "GET", .fault = {.cut_after = 50'000, .reset = true}, .count = 1});
  EXPECT_TRUE(Holds(At("a"), object));
}

TEST_F(Semantics, Row14_AStoreLostForGoodIsAnErrorAfterRightBytes) {
  const std::string object = Pattern(4 * kMiB);
  Put("a", object);
  WriteLocal("a", Pattern(object.size(), 2));
  MountBoth({"--op-timeout", "4s"});
  ASSERT_EQ(StatError(At("a")), 0);
  proxy().AddRule({.operation = "GET", .fault = {.cut_after = kMiB + 17}, .count = 1});
  proxy().AddRule({.operation = "GET", .fault = {.cut_after = 0}});
  const ReadOutcome outcome = ReadWhole(At("a"));
  EXPECT_THAT(outcome.error, AnyOf(EIO, ETIMEDOUT));
  EXPECT_LT(outcome.bytes.size(), object.size());
  EXPECT_TRUE(SameBytes({outcome.bytes}, object.substr(0, outcome.bytes.size())));
}

TEST_F(Semantics, Row14_AStalledStoreIsAnErrorToo) {
  const std::string object = Pattern(4 * kMiB);
  Put("a", object);
  MountStore({"--op-timeout", "3s"});
  ASSERT_EQ(StatError(At("a")), 0);
  proxy().AddRule({.operation = "GET", .fault = {.stall_after = 1000}});
  const ReadOutcome outcome = ReadWhole(At("a"));
  EXPECT_THAT(outcome.error, AnyOf(EIO, ETIMEDOUT));
  EXPECT_EQ(outcome.bytes, "");
  proxy().ClearRules();
  proxy().Release();
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), object)); }));
}

TEST_F(Semantics, Row14_AMappingGetsSigbusAndNoZeros) {
  Put("a", Pattern(4 * kMiB));
  MountStore({"--op-timeout", "3s"});
  ASSERT_EQ(StatError(At("a")), 0);
  proxy().AddRule({.operation = "GET", .fault = {.cut_after = 0}});
  const ProcessResult touch = sandbox().RunProgram({"/usr/bin/python3", "-c",
                                                    "import mmap, sys\n"
                                                    "f = open(sys.argv[1], 'rb')\n"
                                                    "print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[0])",
                                                    At("a")});
  EXPECT_EQ(touch.exit_code, 128 + SIGBUS) << touch.out << touch.err;
}

// Whatever the store says, a byte counts only if status, Content-Range, length and ETag are what was asked for.
TEST_F(Semantics, Row14_AnAnswerToAnotherQuestionIsNotBelieved) {
  const std::string object = Pattern(600 * kKiB);
  const std::vector<std::function<void(HttpMessage&)>> lies = {
      [](HttpMessage& answer) { answer.Set("ETag", "\"00000000000000000000000000000000\""); },
      [](HttpMessage& answer) { answer.Set("Content-Range", "bytes 4096-8191/614400"); },
      [](HttpMessage& answer) { answer.body.resize(answer.body.size() / 2); },
      [](HttpMessage& answer) { answer.body += "more"; },
      [](HttpMessage& answer) {
        answer.start_line = "HTTP/1.1 200 OK";
        answer.Remove("Content-Range");
        answer.body = "<html>Log in to this network first</html>";
      },
  };
  MountStore();
  for (size_t i = 0; i < lies.size(); ++i) {
    const std::string name = "lie" + std::to_string(i);
    Put(name, object);
    proxy().AddRule({.operation = "GET", .target_part = name, .fault = {.rewrite = lies[i]}, .count = 1});
  }
  for (size_t i = 0; i < lies.size(); ++i) {
    // A new open where the lie was that the version has changed.
    EXPECT_TRUE(Eventually([&] {
      const ReadOutcome outcome = ReadWhole(At("lie" + std::to_string(i)));
      EXPECT_TRUE(SameBytes({outcome.bytes}, object.substr(0, outcome.bytes.size()))) << i;
      return outcome.error == 0 && outcome.bytes.size() == object.size();
    })) << i;
  }
}

}  // namespace
}  // namespace s3overlay::testing
