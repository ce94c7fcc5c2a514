// SPDX-License-Identifier: Apache-2.0
//
// A pipeline stage that knows nothing of S3 (assemble.py) on a mount: with the store up, with objects missing, and with
// the store gone.
#include <gmock/gmock.h>

#include <filesystem>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Records(const std::string& name, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += R"({"text":")" + name + " " + std::to_string(i) + R"(","n":)" + std::to_string(i) + "}\n";
  }
  return lines;
}

class Pipeline : public MountTest {
 protected:
  // The manifest names "web" and "books"; a third dataset, where asked for, that nobody has.
  void WriteManifest(const std::string& third = {}) {
    std::string datasets = R"({"name":"web","path":"datasets/web.jsonl","source":"crawl"},)"
                           R"({"name":"books","path":"datasets/deep/books.jsonl","source":"library"})";
    if (!third.empty())
      datasets += R"(,{"name":")" + third + R"(","path":"datasets/)" + third + R"(.jsonl","source":"x"})";
    sandbox().dir().Write("manifest.json", "{\"datasets\":[" + datasets + "]}");
  }

  ProcessResult Assemble(const std::string& root) {
    return sandbox().RunProgram({"/usr/bin/python3", S3OVERLAY_PIPELINE_STAGE, sandbox().dir() / "manifest.json", root,
                                 sandbox().dir() / "output.jsonl"});
  }

  // The stage on plain files first: what every other run has to give as well.
  void MakeReference() {
    WriteManifest();
    sandbox().dir().Write("plain/datasets/web.jsonl", web_);
    sandbox().dir().Write("plain/datasets/deep/books.jsonl", books_);
    const ProcessResult result = Assemble(sandbox().dir() / "plain");
    ASSERT_EQ(result.exit_code, 0) << result.err;
    summary_ = result.out;
    output_ = ReadWhole(sandbox().dir() / "output.jsonl").bytes;
    ASSERT_THAT(output_, HasSubstr("books 499"));
  }

  void ExpectTheSame() {
    std::filesystem::remove(sandbox().dir() / "output.jsonl");
    const ProcessResult result = Assemble(mount().path());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, summary_);
    EXPECT_TRUE(Holds(sandbox().dir() / "output.jsonl", output_));
  }

  const std::string web_ = Records("web", 20'000);
  const std::string books_ = Records("books", 500);
  std::string summary_;
  std::string output_;
};

TEST_F(Pipeline, ReadsFromTheStore) {
  MakeReference();
  Put("datasets/web.jsonl", web_);
  Put("datasets/deep/books.jsonl", books_);
  WriteLocal("datasets/web.jsonl", Records("out of date", 3));
  MountBoth();
  ExpectTheSame();
}

TEST_F(Pipeline, LocalCopiesStandInForMissingObjects) {
  MakeReference();
  Put("datasets/web.jsonl", web_);
  WriteLocal("datasets/deep/books.jsonl", books_);
  MountBoth();
  ExpectTheSame();
  EXPECT_EQ(State("datasets/deep/books.jsonl"), "fallback");
}

TEST_F(Pipeline, WithTheStoreGoneItReadsTheCacheAndLocalCopies) {
  MakeReference();
  Put("datasets/web.jsonl", web_);
  WriteLocal("datasets/deep/books.jsonl", books_);
  MountBoth();
  ExpectTheSame();
  ASSERT_TRUE(ComesToCache("datasets/web.jsonl"));
  proxy().SetStore(FaultProxy::Store::kRefused);
  ASSERT_TRUE(ComesToState("datasets/web.jsonl", "stale"));
  ExpectTheSame();
  EXPECT_EQ(State("datasets/deep/books.jsonl"), "degraded");
}

TEST_F(Pipeline, WhatNeitherHasIsAClearError) {
  WriteManifest("absent");
  WriteLocal("datasets/web.jsonl", web_);
  WriteLocal("datasets/deep/books.jsonl", books_);
  MountBoth();
  ProcessResult result = Assemble(mount().path());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("No such file or directory"));
  EXPECT_THAT(result.err, HasSubstr("datasets/absent.jsonl"));
  proxy().SetStore(FaultProxy::Store::kRefused);
  ASSERT_TRUE(ComesToState("datasets/web.jsonl", "degraded"));
  result = Assemble(mount().path());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("datasets/absent.jsonl"));
  EXPECT_THAT(result.err, Not(HasSubstr("No such file"))) << "an outage is not an absence";
  EXPECT_FALSE(std::filesystem::exists(sandbox().dir() / "output.jsonl"));
}

}  // namespace
}  // namespace s3overlay::testing
