// SPDX-License-Identifier: Apache-2.0
//
// What others do to the files of a cache, while it is open and between its runs: never a wrong byte, and the cache
// always starts and works.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <tuple>

#include "s3overlay/log.h"
#include "support/directory_snapshot.h"
#include "unit/cache/disk_block_cache_fixture.h"

namespace s3overlay {
namespace {

using testing::DirectorySnapshot;

class DiskBlockCacheDamageTest : public DiskBlockCacheFixture {
 protected:
  fs::path FileOf(const std::string& extension) const {
    for (const fs::path& file : DataFiles()) {
      if (file.extension() == extension) return file;
    }
    ADD_FAILURE() << "no file " << extension;
    return {};
  }

  // The file behind a complete object holds its bytes, where there is one.
  bool LendsRightBytes(const ObjectId& object) {
    const auto lent = cache_->OpenComplete(object);
    if (lent == nullptr) return false;
    std::vector<std::byte> bytes(object.size);
    EXPECT_EQ(::pread(lent->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(bytes, BytesOf(object, {0, object.size})) << object.key;
    return true;
  }

  // Every block of it, and every part of one: right, or not there.
  uint64_t CountRightBlocks(const ObjectId& object) {
    uint64_t blocks = 0;
    for (uint64_t i = 0; i < BlockCount(object.size, kBlock); ++i) {
      std::vector<std::byte> part(100);
      if (cache_->Get(object, i, 1000, part)) {
        EXPECT_EQ(part, BytesOf(object, {i * kBlock + 1000, part.size()})) << object.key << " block " << i;
      }
      blocks += Has(object, i) ? 1 : 0;
    }
    return blocks;
  }
};

TEST_F(DiskBlockCacheDamageTest, AFlippedBitIsSeenThoughTheBlockWasCheckedBefore) {
  const ObjectId partial = MakeObject("p.p", 4 * kBlock);
  const ObjectId whole = MakeObject("w.w", 4 * kBlock);
  for (const uint64_t index : {0U, 1U, 2U}) Put(partial, index);
  PutAll(whole);
  for (const ObjectId& object : {partial, whole}) (void)CountRightBlocks(object);
  FlipByte(FileOf(".p"), kBlock + 1050);
  FlipByte(FileOf(".w"), 2 * kBlock + 1050);
  EXPECT_EQ(CountRightBlocks(partial), 2U);
  (void)CountRightBlocks(whole);
  EXPECT_FALSE(Has(whole, 2));
  EXPECT_GE(metrics_.Get(Metric::kCacheChecksumErrors), 2U);
}

// Of a file that is open no longer: then nothing of it is believed that was checked before.
TEST_F(DiskBlockCacheDamageTest, ABlockOfAClosedFileIsCheckedAgain) {
  options_.max_open_files = 0;
  Reopen();
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  std::vector<std::byte> out(100);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cache_->Get(object, 0, 50, out));
    EXPECT_EQ(out, BytesOf(object, {50, 100}));
  }
  FlipByte(DataFiles().front(), 3000);
  EXPECT_FALSE(cache_->Get(object, 0, 50, out)) << "a byte beside those asked for is damaged";
}

TEST_F(DiskBlockCacheDamageTest, ManyDamagedBlocksAreOneLineInTheLog) {
  const ObjectId object = MakeObject("a", 8 * kBlock);
  for (uint64_t index = 0; index < 7; ++index) Put(object, index);
  cache_->Flush();
  for (uint64_t index = 0; index < 6; ++index) FlipByte(DataFiles().front(), index * kBlock);
  const std::string file = dir_ / "log";
  ASSERT_TRUE(StartLogging({.file = file}));
  EXPECT_EQ(CountRightBlocks(object), 1U);
  FlushLog();
  ASSERT_TRUE(StartLogging({}));
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  const std::string logged = text.str();
  EXPECT_NE(logged.find("checksum"), std::string::npos);
  EXPECT_EQ(logged.find("checksum"), logged.rfind("checksum")) << logged;
  EXPECT_EQ(metrics_.Get(Metric::kCacheChecksumErrors), 6U);
}

TEST_F(DiskBlockCacheDamageTest, OurOwnWritesDoNotHideADamagedBlock) {
  const ObjectId object = MakeObject("a", 8 * kBlock);
  for (const uint64_t index : {0U, 1U}) Put(object, index);
  cache_->Flush();
  ASSERT_EQ(CountRightBlocks(object), 2U);
  FlipByte(DataFiles().front(), 1050);
  for (const uint64_t index : {2U, 3U}) Put(object, index);
  cache_->Flush();
  EXPECT_EQ(CountRightBlocks(object), 3U);
}

// With it goes all that is kept of its extent; AddressSanitizer sees who looks at that afterwards.
TEST_F(DiskBlockCacheDamageTest, TheOnlyBlockOfAnObjectIsDamaged) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  Put(object, 1);
  cache_->Flush();
  FlipByte(DataFiles().front(), kBlock + 1050);
  EXPECT_EQ(CountRightBlocks(object), 0U);
  cache_->Flush();
  EXPECT_EQ(cache_->GetStats().objects, 0U) << "nothing would ever evict it";
  EXPECT_TRUE(DataFiles().empty());
  Put(object, 1);
  cache_->Flush();
  EXPECT_EQ(CountRightBlocks(object), 1U);
}

// Pages of a file's range that lie in the kernel's memory.
size_t CountCachedPages(int fd, const ByteRange& range) {
  void* const mapping = ::mmap(nullptr, range.size, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(range.offset));
  std::vector<unsigned char> pages(range.size / 4096);
  EXPECT_EQ(::mincore(mapping, range.size, pages.data()), 0);
  ::munmap(mapping, range.size);
  return static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

// Or the neighbours would count as checked, being in the kernel's memory.
TEST_F(DiskBlockCacheDamageTest, ReadingABlockBringsNoOtherIntoTheKernelsMemory) {
  const ObjectId object = MakeObject("a", 256 * kBlock);
  PutAll(object);
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    const UniqueFd fd(::open(DataFiles().front().c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::fsync(fd.get()), 0);
    ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    if (CountCachedPages(fd.get(), {0, object.size}) != 0) GTEST_SKIP() << "this file system keeps all in memory";
    for (const uint64_t index : {0U, 1U, 2U}) EXPECT_TRUE(Has(object, index));
    EXPECT_EQ(CountCachedPages(fd.get(), {3 * kBlock, object.size - 3 * kBlock}), 0U);
  }
}

// As a file system is after an error that made the kernel mount it read-only.
TEST_F(DiskBlockCacheDamageTest, OnADiskThatBecameReadOnlyIsReadWhatThereIs) {
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs a mount namespace of its own";
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  Close();
  options_.dir = dir_ / "cache";
  fs::create_directory(options_.dir);
  options_.max_open_files = 1;
  Open();
  const ObjectId partial = MakeObject("p.p", 4 * kBlock);
  const ObjectId whole = MakeObject("w.w", 4 * kBlock);
  for (const uint64_t index : {0U, 1U}) Put(partial, index);
  PutAll(whole);
  const char* const at = options_.dir.c_str();
  ASSERT_EQ(::mount(at, at, nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, at, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_EQ(CountRightBlocks(partial), 2U);
  EXPECT_FALSE(LendsRightBytes(whole)) << "it cannot be marked as lent";
  Put(partial, 2);
  cache_->Flush();
  EXPECT_EQ(CountRightBlocks(whole), 4U);
  EXPECT_EQ(CountRightBlocks(partial), 2U) << "a block that cannot be written does not cost the others";
  ASSERT_EQ(::umount2(at, MNT_DETACH), 0);
  Put(partial, 2);
  cache_->Flush();
  EXPECT_EQ(CountRightBlocks(partial), 3U);
  EXPECT_TRUE(LendsRightBytes(whole));
}

TEST_F(DiskBlockCacheDamageTest, AChangedFileIsNotHandedOut) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  PutAll(object);
  FlipByte(DataFiles().front(), 5);
  EXPECT_FALSE(LendsRightBytes(object));
  cache_->Flush();
  EXPECT_FALSE(LendsRightBytes(object)) << "the check finds the damage";
  PutAll(object);
  EXPECT_TRUE(LendsRightBytes(object));
  // Lent by now, and changed again.
  FlipByte(DataFiles().front(), 5);
  EXPECT_FALSE(LendsRightBytes(object));
  cache_->Flush();
  PutAll(object);
  EXPECT_TRUE(LendsRightBytes(object));
}

TEST_F(DiskBlockCacheDamageTest, AChangedFileIsNotHandedOutInTheNextRun) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  for (const bool lent : {false, true}) {
    PutAll(object);
    if (lent) {
      ASSERT_TRUE(LendsRightBytes(object));
    }
    Close();
    FlipByte(DataFiles().front(), 5);
    Open();
    EXPECT_FALSE(LendsRightBytes(object));
    cache_->Flush();
    EXPECT_FALSE(LendsRightBytes(object));
    cache_->Flush();
  }
}

TEST_F(DiskBlockCacheDamageTest, AFileThatWasTouchedIsCheckedAndHandedOutAgain) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  PutAll(object);
  ASSERT_TRUE(LendsRightBytes(object));
  for (const bool restart : {false, true}) {
    if (restart) Close();
    fs::permissions(DataFiles().front(), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
    fs::permissions(DataFiles().front(), fs::perms::owner_read | fs::perms::owner_write);
    if (restart) Open();
    EXPECT_FALSE(LendsRightBytes(object));
    cache_->Flush();
    EXPECT_TRUE(LendsRightBytes(object));
  }
  Reopen();
  EXPECT_TRUE(LendsRightBytes(object)) << "and nothing has to be checked where nobody came near it";
}

TEST_F(DiskBlockCacheDamageTest, TruncatedDeletedAndReplacedWhileItIsOpen) {
  std::vector<ObjectId> objects;
  for (const char* key : {"t.t", "e.e", "d.d", "r.r", "k.k"}) objects.push_back(MakeObject(key, 4 * kBlock));
  for (const ObjectId& object : objects) {
    PutAll(object);
    (void)CountRightBlocks(object);
  }
  fs::resize_file(FileOf(".t"), kBlock);
  fs::resize_file(FileOf(".e"), 0);
  fs::resize_file(FileOf(".e"), 4 * kBlock);
  const fs::path replaced = FileOf(".r");
  dir_.Write("other", std::string(4 * kBlock, 'x'));
  fs::rename(dir_ / "other", replaced);
  fs::remove(FileOf(".d"));
  for (const ObjectId& object : objects) {
    (void)CountRightBlocks(object);
    (void)LendsRightBytes(object);
    cache_->Flush();
    (void)LendsRightBytes(object);
  }
  EXPECT_EQ(CountRightBlocks(objects.back()), 4U);
  for (const ObjectId& object : objects) {
    PutAll(object);
    EXPECT_EQ(CountRightBlocks(object), 4U) << object.key;
    EXPECT_TRUE(LendsRightBytes(object)) << object.key;
  }
}

TEST_F(DiskBlockCacheDamageTest, VerifyRepairsACompleteFile) {
  const ObjectId object = MakeObject("a", 4 * kBlock);
  PutAll(object);
  // A flipped bit of the medium: nothing of the file's attributes tells of it.
  struct stat before{};
  ASSERT_EQ(::stat(DataFiles().front().c_str(), &before), 0);
  FlipByte(DataFiles().front(), 5);
  EXPECT_EQ(cache_->Verify({})->damaged_blocks, 1U);
  EXPECT_EQ(cache_->Verify({})->damaged_blocks, 0U);
  EXPECT_EQ(cache_->GetStats().objects, 0U) << "it goes whole";
  PutAll(object);
  EXPECT_EQ(CountRightBlocks(object), 4U);
}

// Short of descriptors it has looked at nothing, and that is no reason to throw anything away.
TEST_F(DiskBlockCacheDamageTest, VerifyThrowsNothingAwayThatItCouldNotOpen) {
  if (S3OVERLAY_SANITIZED) GTEST_SKIP() << "UBSan itself needs descriptors, to look at memory by a pipe";
  const ObjectId object = MakeObject("a", 4 * kBlock);
  PutAll(object);
  Reopen();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto report = cache_->Verify({});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(report->damaged_files, 1U);
  EXPECT_EQ(report->damaged_blocks, 0U);
  cache_->Flush();
  EXPECT_EQ(CountRightBlocks(object), 4U);
}

TEST_F(DiskBlockCacheDamageTest, AnIndexThatCannotBeHadIsNoReasonNotToStart) {
  const ObjectId object = MakeObject("a", 2 * kBlock);
  Close();
  fs::remove(dir_ / "index.sqlite");
  fs::create_directory(dir_ / "index.sqlite");
  Open();
  PutAll(object);
  EXPECT_FALSE(Has(object, 0));
  fs::remove(dir_ / "index.sqlite");
  clock_.Advance(std::chrono::seconds(2));
  PutAll(object);
  EXPECT_TRUE(Has(object, 0)) << "it works as soon as it can";
}

TEST_F(DiskBlockCacheDamageTest, ALookAtACacheThatDoesNotFitRemovesNothing) {
  PutAll(MakeObject("a", 4 * kBlock));
  Close();
  options_.must_fit = true;
  const auto expect_refused = [this](const std::string& why) {
    const auto opened = TryOpen();
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find(why), std::string::npos) << opened.error().message;
    EXPECT_EQ(DataFiles().size(), 1U);
  };
  dir_.Write("format", "s3overlay cache 1\n");
  expect_refused("\"s3overlay cache 1\"");
  dir_.Write("format", "s3overlay cache 2\n");
  Open();
  EXPECT_EQ(cache_->GetStats().blocks, 4U);
  Close();
  dir_.Write("index.sqlite", std::string(8192, 'x'));
  expect_refused("index.sqlite");
  EXPECT_EQ(fs::file_size(dir_ / "index.sqlite"), 8192U);
  fs::remove(dir_ / "index.sqlite");
  EXPECT_EQ(DiskBlockCache::FindBlockSize(options_.dir), std::nullopt);
  expect_refused("index.sqlite");
  EXPECT_FALSE(fs::exists(dir_ / "index.sqlite"));
  options_.must_fit = false;
  Open();
  EXPECT_EQ(cache_->GetStats().blocks, 0U);
}

// A crash while a file that was handed out is mapped somewhere, and was to be removed.
TEST_F(DiskBlockCacheDamageTest, WhatWaitsToBeRemovedIsCountedByTheNextRun) {
  const ObjectId object = MakeObject("a", 16 * kBlock);
  PutAll(object);
  auto lent = cache_->OpenComplete(object);
  ASSERT_NE(lent, nullptr);
  void* const mapping = ::mmap(nullptr, object.size, PROT_READ, MAP_SHARED, lent->fd(), 0);
  lent = nullptr;
  cache_->Clear();
  Reopen();
  EXPECT_GE(cache_->GetStats().bytes, object.size);
  EXPECT_EQ(::memcmp(mapping, BytesOf(object, {0, object.size}).data(), object.size), 0);
  ::munmap(mapping, object.size);
  for (int i = 0; i < 1000 && cache_->GetStats().bytes > 0; ++i) cache_->Flush();
  EXPECT_EQ(cache_->GetStats().bytes, 0U);
}

enum class Copy { kOlder, kNewer, kNone };

// Which copy of the index, of its log and of the data files the next run finds; and whether both were taken from a
// cache in use (with a log) or after its orderly end.
using Torn = std::tuple<Copy, Copy, Copy, bool>;

class TornCopiesTest : public DiskBlockCacheDamageTest, public ::testing::WithParamInterface<Torn> {
 protected:
  // A first life: one object handed out, one in part. A second one: some of it evicted, other bytes in its place.
  void LiveTwice() {
    Close();
    options_.dir = dir_ / "cache";
    options_.size_limit = 1 << 20;
    Open();
    PutAll(objects_[0]);
    ASSERT_TRUE(LendsRightBytes(objects_[0]));
    PutAll(objects_[1]);
    for (const uint64_t index : {0U, 2U, 5U}) Put(objects_[2], index);
    older_ = Take();
    for (int i = 0; i < 6; ++i) PutAll(MakeObject("filler-" + std::to_string(i), 48 * kBlock));
    for (const uint64_t index : {1U, 2U, 3U}) Put(objects_[2], index);
    PutAll(objects_[3]);
    ASSERT_TRUE(LendsRightBytes(objects_[3]));
    newer_ = Take();
    Close();
  }

  DirectorySnapshot Take() {
    cache_->Flush();
    if (!std::get<3>(GetParam())) Close();
    DirectorySnapshot snapshot(options_.dir);
    if (cache_ == nullptr) Open();
    return snapshot;
  }

  void Restore(Copy copy, const std::string& part) {
    if (copy == Copy::kOlder) older_->Restore(part);
    if (copy == Copy::kNewer) newer_->Restore(part);
    if (copy != Copy::kNone) return;
    const fs::path path = fs::path(options_.dir) / part;
    if (fs::is_regular_file(path)) fs::remove(path);
  }

  const std::vector<ObjectId> objects_ = {MakeObject("lent.l", 40 * kBlock), MakeObject("whole.w", 40 * kBlock),
                                          MakeObject("partial.p", 20 * kBlock), MakeObject("later.x", 40 * kBlock)};
  std::optional<DirectorySnapshot> older_;
  std::optional<DirectorySnapshot> newer_;
};

TEST_P(TornCopiesTest, NeverServeAWrongByte) {
  LiveTwice();
  const auto& [index, log, data, in_use] = GetParam();
  Restore(data, "data/");
  Restore(index, "index.sqlite");
  Restore(log, "index.sqlite-wal");
  Open();
  for (int round = 0; round < 2; ++round) {
    for (const ObjectId& object : objects_) {
      (void)LendsRightBytes(object);
      cache_->Flush();
      (void)LendsRightBytes(object);
      (void)CountRightBlocks(object);
    }
    Reopen();
  }
  cache_->Clear();
  PutAll(objects_[0]);
  EXPECT_EQ(CountRightBlocks(objects_[0]), BlockCount(objects_[0].size, kBlock)) << "it is of use again";
}

std::string NameOfTorn(const ::testing::TestParamInfo<Torn>& info) {
  const auto name = [](Copy copy) { return copy == Copy::kOlder ? "Older" : copy == Copy::kNewer ? "Newer" : "No"; };
  const auto& [index, log, data, in_use] = info.param;
  return std::string(name(index)) + "Index" + name(log) + "Log" + name(data) + "Data" + (in_use ? "InUse" : "AtRest");
}

INSTANTIATE_TEST_SUITE_P(Copies, TornCopiesTest,
                         ::testing::Combine(::testing::Values(Copy::kOlder, Copy::kNewer, Copy::kNone),
                                            ::testing::Values(Copy::kOlder, Copy::kNewer, Copy::kNone),
                                            ::testing::Values(Copy::kOlder, Copy::kNewer), ::testing::Bool()),
                         NameOfTorn);

}  // namespace
}  // namespace s3overlay
