// SPDX-License-Identifier: Apache-2.0
//
// What names cost: requests to the store, and memory of the daemon.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "support/mount/files.h"
#include "support/mount/generated_bucket.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

// Answers hold longer than any test lasts.
const std::vector<std::string> kLongLived = {"--metadata-ttl", "1h", "--negative-ttl", "1h"};

class NamesTest : public MountTest {
 protected:
  int Lookups() { return proxy().Count("HEAD") + proxy().Count("LIST"); }
};

TEST_F(NamesTest, WhatWasListedIsOpenedWithOneGetAndNoHead) {
  for (int i = 0; i < 20; ++i) Put("dir/" + std::to_string(i), "bytes " + std::to_string(i));
  MountStore(kLongLived);
  ASSERT_EQ(ListNames(At("dir")).names.size(), 20U);
  const int lookups = Lookups();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Holds(At("dir/" + std::to_string(i)), "bytes " + std::to_string(i)));
  EXPECT_EQ(Lookups(), lookups);
  EXPECT_EQ(proxy().Count("HEAD"), 0);
  EXPECT_EQ(proxy().Count("GET"), 20);
}

TEST_F(NamesTest, AColdLookupCostsTwoListsADirectoryOnTheWay) {
  for (const char* const path : {"a/b/c/file", "a/b/c/other", "a/x"}) Put(path, "bytes");
  MountBoth(kLongLived);
  const int lookups = Lookups();
  EXPECT_TRUE(Holds(At("a/b/c/file"), "bytes"));
  const int asked = Lookups();
  EXPECT_LE(asked - lookups, 8) << "two, side by side: in the root, a, a/b and a/b/c";
  EXPECT_EQ(StatError(At("a/b/c/other")), 0);
  EXPECT_EQ(StatError(At("a/b/none")), ENOENT);
  EXPECT_EQ(StatError(At("none/below/that")), ENOENT);
  EXPECT_EQ(Lookups(), asked);
}

TEST_F(NamesTest, BelowADirectoryThatALayerLacksItIsNotAsked) {
  Put("elsewhere", "bytes");
  for (const char* const path : {"only/here/a", "only/here/b"}) WriteLocal(path, "local");
  MountBoth(kLongLived);
  EXPECT_TRUE(Holds(At("only/here/a"), "local"));
  const int lookups = Lookups();
  EXPECT_TRUE(Holds(At("only/here/b"), "local"));
  EXPECT_EQ(ListNames(At("only/here")).names.size(), 2U);
  EXPECT_EQ(Lookups(), lookups);
  EXPECT_EQ(proxy().Count("LIST", "only"), 0);
}

TEST_F(NamesTest, AnAbsenceIsRememberedUnlessALocalLayerMayGainTheName) {
  Put("a", "bytes");
  MountStore(kLongLived);
  EXPECT_EQ(StatError(At("late")), ENOENT);
  Put("late", "bytes");
  EXPECT_EQ(StatError(At("late")), ENOENT);
  MountBoth(kLongLived);
  EXPECT_EQ(StatError(At("soon")), ENOENT);
  WriteLocal("soon", "local");
  EXPECT_TRUE(Holds(At("soon"), "local"));
}

// Mounts made-up objects, with the local directory behind them.
class ManyNames : public ::testing::Test {
 protected:
  void Mount(size_t files, size_t directories = 0) {
    bucket_ = std::make_unique<GeneratedBucket>(files, directories);
    sandbox_ = std::make_unique<Sandbox>(bucket_->url());
    sandbox_->SetEnvironment("AWS_ACCESS_KEY_ID", "any");
    sandbox_->SetEnvironment("AWS_SECRET_ACCESS_KEY", "any");
    std::filesystem::create_directory(sandbox_->dir() / "local");
    MountOptions options;
    options.arguments = {"--layer", "s3://bucket/data", "--layer", sandbox_->dir() / "local"};
    options.arguments.insert(options.arguments.end(), kLongLived.begin(), kLongLived.end());
    mount_ = std::make_unique<testing::Mount>(*sandbox_, options);
  }
  void TearDown() override {
    mount_.reset();
    sandbox_.reset();
  }
  std::string At(const std::string& name) const { return *mount_ / name; }
  int Requests() const { return bucket_->lists() + bucket_->heads(); }

  size_t Walk() const {
    size_t seen = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(At(""))) {
      entry.status();
      ++seen;
    }
    return seen;
  }

  uint64_t PeakMiB() const {
    std::ifstream status("/proc/" + std::to_string(mount_->pid()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) / 1024;
    }
    return 0;
  }

  std::unique_ptr<GeneratedBucket> bucket_;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<testing::Mount> mount_;
};

TEST_F(ManyNames, ListingOfSeveralPagesAnswersForAllNamesOfTheDirectory) {
  constexpr size_t kFiles = 3'500;
  Mount(kFiles);
  sandbox_->dir().Write("local/only-here", "local");
  ASSERT_EQ(ListNames(At("")).names.size(), kFiles + 1);
  const int requests = Requests();
  EXPECT_EQ(StatOf(At(GeneratedBucket::FileName(3'210))).st_size, 1);
  EXPECT_EQ(OpenError(At(GeneratedBucket::FileName(1'234))), 0);
  EXPECT_TRUE(Holds(At("only-here"), "local"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatError(At("none-" + std::to_string(i))), ENOENT);
  EXPECT_EQ(ListNames(At("")).names.size(), kFiles + 1);
  EXPECT_EQ(Requests(), requests);
}

TEST_F(ManyNames, ColdLookupInALargeDirectoryCostsAtMostTwoRequestsOnceItsSizeIsKnown) {
  Mount(3'500);
  EXPECT_EQ(StatError(At("a-name-that-the-first-page-decides")), ENOENT);
  for (const char* const name : {"f0003210", "f9999999"}) {
    const int requests = Requests();
    StatError(At(name));
    EXPECT_LE(Requests() - requests, 2) << name;
    EXPECT_EQ(bucket_->heads(), 0);
  }
}

// A million names may take 1 GiB (by hand: S3OVERLAY_TEST_NAMES=1000000). Here there are more than the kernel is given
// nodes of; from there on a name costs what a listing keeps of it, about 100 bytes.
TEST_F(ManyNames, WalkOfALargeTreeTakesBoundedMemory) {
  if (S3OVERLAY_SANITIZED) GTEST_SKIP() << "the sanitizers' own memory would be measured";
  const char* const by_hand = std::getenv("S3OVERLAY_TEST_NAMES");
  const size_t files = by_hand != nullptr ? std::stoul(by_hand) : 300'000;
  const uint64_t most_mib = by_hand != nullptr ? 1024 : 512;
  Mount(files);
  ASSERT_EQ(Walk(), files);
  EXPECT_LE(PeakMiB(), most_mib);
  RecordProperty("peak_mib", std::to_string(PeakMiB()));
}

}  // namespace
}  // namespace s3overlay::testing
