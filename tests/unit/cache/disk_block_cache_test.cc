// SPDX-License-Identifier: Apache-2.0
//
// What the cache on disk believes, and what it does with a directory that is not as it left it.
#include "cache/disk_block_cache.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <thread>

#include "unit/cache/disk_block_cache_fixture.h"

namespace s3overlay {
namespace {

class DiskBlockCacheTest : public DiskBlockCacheFixture {};

TEST_F(DiskBlockCacheTest, BlocksSurviveARestart) {
  const ObjectId object = MakeObject("a.jsonl", 5 * kBlock + 10);
  for (const uint64_t index : {0U, 3U, 5U}) Put(object, index);
  Reopen();
  EXPECT_TRUE(Has(object, 0));
  EXPECT_FALSE(Has(object, 1));
  EXPECT_TRUE(Has(object, 3));
  EXPECT_TRUE(Has(object, 5));
  EXPECT_TRUE(cache_->GetStats().clean_stop);
  EXPECT_EQ(cache_->GetStats().blocks, 3U);
  ASSERT_EQ(DataFiles().size(), 1U);
  EXPECT_EQ(DataFiles().front().extension(), ".jsonl");
}

TEST_F(DiskBlockCacheTest, DamageIsFoundAtTheFirstUseAfterARestart) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  for (const uint64_t index : {0U, 1U, 2U}) Put(object, index);
  Close();
  FlipByte(DataFiles().front(), kBlock + 1);
  Open();
  std::vector<std::byte> out(10);
  EXPECT_FALSE(cache_->Get(object, 1, 100, out)) << "a byte beside those asked for is damaged";
  EXPECT_TRUE(Has(object, 0));
  EXPECT_TRUE(Has(object, 2));
  EXPECT_FALSE(cache_->Contains(object, 1));
  EXPECT_EQ(metrics_.Get(Metric::kCacheChecksumErrors), 1U);
  Put(object, 1);
  cache_->Flush();
  EXPECT_TRUE(Has(object, 1));
  Reopen();
  EXPECT_TRUE(Has(object, 1));
}

TEST_F(DiskBlockCacheTest, DamageInACompleteObjectCostsTheObject) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  PutAll(object);
  Close();
  FlipByte(DataFiles().front(), 1);
  Open();
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->OpenComplete(object), nullptr);
  PutAll(object);
  EXPECT_TRUE(Has(object, 0));
  EXPECT_NE(cache_->OpenComplete(object), nullptr);
}

TEST_F(DiskBlockCacheTest, CompleteMeansThatTheMd5Matches) {
  const ObjectId right = MakeObject("k", 10000, "b567fcb68d8555227123ab87e255872e");
  ObjectId wrong = right;
  wrong.etag = "c567fcb68d8555227123ab87e255872e";
  for (const ObjectId& object : {right, wrong}) {
    for (uint64_t i = 0; i < 3; ++i) {
      const uint64_t size = BlockRange(i, kBlock, object.size).size;
      cache_->Put(object, i, ShareBytes(std::vector(size, std::byte{'x'})));
    }
  }
  cache_->Flush();
  EXPECT_NE(cache_->OpenComplete(right), nullptr);
  EXPECT_EQ(cache_->OpenComplete(wrong), nullptr);
  EXPECT_TRUE(cache_->Contains(wrong, 0)) << "an ETag may look like an MD5 and be none";
}

TEST_F(DiskBlockCacheTest, CompleteSurvivesARestartButNotAHole) {
  const ObjectId whole = MakeObject("whole", 4 * kBlock);
  const ObjectId holed = MakeObject("holed.x", 4 * kBlock);
  PutAll(whole);
  PutAll(holed);
  Close();
  for (const fs::path& file : DataFiles()) {
    if (file.extension() != ".x") continue;
    const UniqueFd fd(::open(file.c_str(), O_RDWR));
    ASSERT_EQ(::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kBlock, kBlock), 0);
  }
  Open();
  EXPECT_NE(cache_->OpenComplete(whole), nullptr);
  EXPECT_EQ(cache_->OpenComplete(holed), nullptr);
  EXPECT_FALSE(Has(holed, 1));
}

TEST_F(DiskBlockCacheTest, SmallObjectsAreCheckedWhenSomeoneAsks) {
  Close();
  options_.complete_from = 1 << 20;
  Open();
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  EXPECT_TRUE(cache_->GetShare(object).complete);
  EXPECT_EQ(cache_->OpenComplete(object), nullptr);
  cache_->Flush();
  EXPECT_NE(cache_->OpenComplete(object), nullptr);
}

TEST_F(DiskBlockCacheTest, TruncatedReplacedAndMissingFilesCostOnlyThemselves) {
  const std::vector<ObjectId> objects = {MakeObject("t.t", 2 * kBlock), MakeObject("r.r", 2 * kBlock),
                                         MakeObject("m.m", 2 * kBlock), MakeObject("k.k", 2 * kBlock)};
  for (const ObjectId& object : objects) PutAll(object);
  Close();
  for (const fs::path& file : DataFiles()) {
    if (file.extension() == ".t") fs::resize_file(file, kBlock);
    if (file.extension() == ".m") fs::remove(file);
    if (file.extension() == ".r") {
      fs::copy_file(file, dir_ / "copy");
      fs::rename(dir_ / "copy", file);
    }
  }
  Open();
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(Has(objects[i], 0)) << objects[i].key;
  EXPECT_TRUE(Has(objects[3], 0));
  EXPECT_EQ(DataFiles().size(), 1U) << "files without a row are removed";
}

TEST_F(DiskBlockCacheTest, AReplacedFileIsNoticedWhileTheCacheIsOpen) {
  Close();
  options_.max_open_files = 0;
  Open();
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  const fs::path file = DataFiles().front();
  fs::rename(file, dir_ / "away");
  fs::copy_file(dir_ / "away", file);
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->OpenComplete(object), nullptr);
  PutAll(object);
  EXPECT_TRUE(Has(object, 0));
}

TEST_F(DiskBlockCacheTest, ADamagedIndexMeansAnEmptyCache) {
  const ObjectId object = MakeObject("a", 2 * kBlock);
  for (const std::string& garbage : {std::string("not a database"), std::string(20000, 'x')}) {
    PutAll(object);
    Close();
    dir_.Write("index.sqlite", garbage);
    Open();
    EXPECT_FALSE(Has(object, 0));
    EXPECT_TRUE(DataFiles().empty());
  }
  PutAll(object);
  EXPECT_TRUE(Has(object, 0));
}

TEST_F(DiskBlockCacheTest, AnotherFormatOrBlockSizeMeansAnEmptyCache) {
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  Close();
  dir_.Write("format", "s3overlay cache 999\n");
  Open();
  EXPECT_FALSE(cache_->Contains(object, 0));
  PutAll(object);
  Close();
  options_.block_size = 2 * kBlock;
  Open();
  EXPECT_FALSE(cache_->Contains(object, 0));
}

TEST_F(DiskBlockCacheTest, FilesThatAreNotOursAreLeftAlone) {
  Close();
  const fs::path mine = dir_.Write("data/ab/thesis.txt", "x");
  const fs::path other = dir_.Write("data/results.csv", "x");
  dir_.Write("format", "s3overlay cache 999\n");
  Open();
  cache_->Clear();
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(DiskBlockCacheTest, RemovingTheDirectoryUnderneathIsHarmless) {
  const ObjectId object = MakeObject("a", 3 * kBlock);
  PutAll(object);
  const auto lent = cache_->OpenComplete(object);
  fs::remove_all(dir_.path());
  (void)Has(object, 0);
  const ObjectId later = MakeObject("b", 2 * kBlock);
  PutAll(later);
  EXPECT_TRUE(Has(later, 1));
  EXPECT_EQ(cache_->OpenComplete(object), nullptr);
  PutAll(object);
  EXPECT_TRUE(Has(object, 2));
  Reopen();
  EXPECT_TRUE(Has(later, 1));
}

// The directory is pulled away from under a cache that is open: what lies in it is what a crash leaves.
TEST_F(DiskBlockCacheTest, AfterACrashOnlyWhatWasCommittedIsBelieved) {
  Close();
  options_.dir = dir_ / "cache";
  Open();
  const ObjectId whole = MakeObject("w.w", 4 * kBlock);
  const ObjectId partial = MakeObject("p.p", 100 * kBlock);
  PutAll(whole);
  Put(partial, 0);
  cache_->Flush();
  fs::rename(options_.dir, dir_ / "crashed");
  cache_->Flush();
  Close();
  options_.dir = dir_ / "crashed";
  fs::path data;
  for (const auto& entry : fs::recursive_directory_iterator(options_.dir)) {
    if (entry.path().extension() == ".p") data = entry.path();
  }
  const UniqueFd fd(::open(data.c_str(), O_RDWR));
  const std::vector<std::byte> lost(50 * kBlock, std::byte{1});
  ASSERT_EQ(::pwrite(fd.get(), lost.data(), lost.size(), 2 * kBlock), static_cast<ssize_t>(lost.size()));
  Open();
  EXPECT_FALSE(cache_->GetStats().clean_stop);
  EXPECT_NE(cache_->OpenComplete(whole), nullptr);
  EXPECT_TRUE(Has(partial, 0));
  EXPECT_FALSE(Has(partial, 2));
  EXPECT_LT(cache_->GetStats().bytes, 20 * kBlock) << "space that no row knows is given back";
}

TEST_F(DiskBlockCacheTest, ASecondOwnerIsRefusedAndToldWho) {
  auto second = TryOpen();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInvalidArgument);
  const std::string owner = "pid " + std::to_string(::getpid()) + ", mountpoint /mnt/data";
  EXPECT_NE(second.error().message.find(owner), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find("--cache-dir"), std::string::npos);
  EXPECT_EQ(DiskBlockCache::FindOwner(dir_.path()), owner);
  Close();
  EXPECT_EQ(DiskBlockCache::FindOwner(dir_.path()), std::nullopt);
  EXPECT_TRUE(DiskBlockCache::Exists(dir_.path()));
  EXPECT_FALSE(DiskBlockCache::Exists(dir_ / "data"));
}

TEST_F(DiskBlockCacheTest, ADirectoryThatCannotBeMadeIsAnError) {
  options_.dir = dir_.Write("file", "") / "cache";
  EXPECT_FALSE(TryOpen());
  options_.dir = "/proc/no-such-directory/cache";
  EXPECT_FALSE(TryOpen());
}

TEST_F(DiskBlockCacheTest, ModesDoNotDependOnTheUmask) {
  Close();
  const mode_t before = ::umask(0);
  options_.dir = dir_ / "deep/cache";
  Open();
  PutAll(MakeObject("a.txt", 2 * kBlock));
  for (const auto& entry : fs::recursive_directory_iterator(options_.dir)) {
    const auto mode = static_cast<unsigned>(entry.status().permissions()) & 07777U;
    EXPECT_EQ(mode, entry.is_directory() ? 0700U : 0600U) << entry.path();
  }
  EXPECT_EQ(static_cast<unsigned>(fs::status(options_.dir).permissions()) & 07777U, 0700U);
  ::umask(before);
}

TEST_F(DiskBlockCacheTest, ADirectoryThatWasThereIsMadePrivateOrRefused) {
  Close();
  const auto mode_of = [&] { return static_cast<unsigned>(fs::status(options_.dir).permissions()) & 07777U; };
  options_.dir = dir_ / "shared";
  fs::create_directory(options_.dir);
  ASSERT_EQ(::chmod(options_.dir.c_str(), 01777), 0);
  Open();
  EXPECT_EQ(mode_of(), 0700U);
  Close();
  ASSERT_EQ(::chmod(options_.dir.c_str(), 0755), 0);
  Open();
  EXPECT_EQ(mode_of(), 0755U) << "what it holds besides is not ours";
  Close();
  ASSERT_EQ(::chmod(options_.dir.c_str(), 01777), 0);
  EXPECT_FALSE(TryOpen());
}

TEST_F(DiskBlockCacheTest, VerifyFindsAndRepairs) {
  const ObjectId partial = MakeObject("p.p", 4 * kBlock);
  const ObjectId whole = MakeObject("w.w", 2 * kBlock);
  Put(partial, 0);
  Put(partial, 1);
  PutAll(whole);
  for (const fs::path& file : DataFiles()) {
    if (file.extension() == ".p") FlipByte(file, kBlock);
  }
  auto report = cache_->Verify({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->objects, 2U);
  EXPECT_EQ(report->blocks, 4U);
  EXPECT_EQ(report->damaged_blocks, 1U);
  EXPECT_TRUE(Has(partial, 0));
  EXPECT_FALSE(Has(partial, 1));
  EXPECT_EQ(cache_->Verify({})->damaged_blocks, 0U);
  EXPECT_EQ(cache_->Verify({.deadline = Deadline::At(clock_.Now())}).error().code, ErrorCode::kTimedOut);
}

// While there is one, no file of this process grows beyond so many bytes, as on a disk that is full; those that are
// larger stay.
class SmallFilesOnly {
 public:
  explicit SmallFilesOnly(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~SmallFilesOnly() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  SmallFilesOnly(const SmallFilesOnly&) = delete;
  SmallFilesOnly& operator=(const SmallFilesOnly&) = delete;

 private:
  rlimit before_{};
};

TEST_F(DiskBlockCacheTest, WhatTheIndexCouldNotSaveIsSavedLater) {
  const ObjectId known = MakeObject("known", 2 * kBlock);
  Put(known, 0);
  cache_->Flush();
  const ObjectId unknown = MakeObject("new", 2 * kBlock);
  {
    const SmallFilesOnly full(2 * kBlock);
    Put(known, 1);
    cache_->Flush();
    Put(unknown, 0);
    cache_->Flush();
  }
  cache_->Flush();
  Put(unknown, 0);  // Its row was lost with the transaction.
  cache_->Flush();
  Reopen();
  EXPECT_TRUE(Has(known, 0));
  EXPECT_TRUE(Has(known, 1));
  EXPECT_TRUE(Has(unknown, 0));
  EXPECT_GT(metrics_.Get(Metric::kCacheIoErrors), 0U) << "nothing failed";
}

TEST_F(DiskBlockCacheTest, TheFirstLoansOfAFileDoNotDoubtEachOther) {
  for (int round = 0; round < 40; ++round) {
    const ObjectId object = MakeObject("object-" + std::to_string(round), 2 * kBlock);
    PutAll(object);
    std::latch all(8);
    std::atomic<int> lent{0};
    std::vector<std::thread> borrowers;
    for (int i = 0; i < 8; ++i) {
      borrowers.emplace_back([&] {
        all.arrive_and_wait();
        if (cache_->OpenComplete(object) != nullptr) ++lent;
      });
    }
    for (std::thread& borrower : borrowers) borrower.join();
    ASSERT_EQ(lent, 8) << "in round " << round;
  }
}

}  // namespace
}  // namespace s3overlay
