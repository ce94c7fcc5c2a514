// SPDX-License-Identifier: Apache-2.0
//
// What every BlockCache promises, held against the one on disk and the one in memory.
#include "s3overlay/block_cache.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "cache/disk_block_cache.h"
#include "support/fake_clock.h"
#include "support/memory_block_cache.h"
#include "support/object_bytes.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using testing::BytesOf;
using testing::MakeBlock;
using testing::MakeObject;

constexpr uint64_t kBlock = 4096;

// A cache, and how to wait until it has done what it was asked for.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual BlockCache& cache() = 0;
  virtual void Settle() {}
};

class MemorySubject final : public Subject {
 public:
  BlockCache& cache() override { return cache_; }

 private:
  testing::MemoryBlockCache cache_{{.block_size = kBlock}};
};

class DiskSubject final : public Subject {
 public:
  DiskSubject() {
    auto opened = DiskBlockCache::Open(
        {.dir = dir_.path(), .size_limit = 64 << 20, .block_size = kBlock, .owner = "/mnt", .complete_from = 0}, clock_,
        metrics_);
    if (!opened) throw std::runtime_error(opened.error().message);
    cache_ = std::move(*opened);
  }
  BlockCache& cache() override { return *cache_; }
  void Settle() override { cache_->Flush(); }

 private:
  const testing::TempDir dir_;
  testing::FakeClock clock_;
  Metrics metrics_;
  std::unique_ptr<DiskBlockCache> cache_;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};

class BlockCacheContract : public ::testing::TestWithParam<Kind> {
 protected:
  void PutAll(const ObjectId& object) {
    for (uint64_t i = 0; i < BlockCount(object.size, kBlock); ++i) cache_.Put(object, i, MakeBlock(object, i, kBlock));
    subject_->Settle();
  }

  const std::unique_ptr<Subject> subject_ = GetParam().make();
  BlockCache& cache_ = subject_->cache();
};

TEST_P(BlockCacheContract, HandsOutWhatItWasGivenFromAnyOffset) {
  const ObjectId object = MakeObject("dir/a.bin", 2 * kBlock + 100);
  PutAll(object);
  for (const ByteRange range : {ByteRange{0, kBlock}, {kBlock + 17, 1000}, {2 * kBlock, 100}, {2 * kBlock + 99, 1}}) {
    std::vector<std::byte> out(range.size);
    ASSERT_TRUE(cache_.Get(object, range.offset / kBlock, range.offset % kBlock, out));
    EXPECT_EQ(out, BytesOf(object, range));
  }
}

TEST_P(BlockCacheContract, SaysNoToWhatItDoesNotHave) {
  const ObjectId object = MakeObject("a", 2 * kBlock + 100);
  cache_.Put(object, 0, MakeBlock(object, 0, kBlock));
  cache_.Put(object, 2, MakeBlock(object, 2, kBlock));
  subject_->Settle();
  std::vector<std::byte> out(10);
  EXPECT_FALSE(cache_.Get(object, 1, 0, out));
  EXPECT_FALSE(cache_.Get(object, 2, 95, out)) << "past the end of the object";
  EXPECT_FALSE(cache_.Get(object, 77, 0, out));
  EXPECT_TRUE(cache_.Contains(object, 0));
  EXPECT_FALSE(cache_.Contains(object, 1));
  EXPECT_EQ(cache_.GetShare(object).bytes, kBlock + 100);
  EXPECT_FALSE(cache_.GetShare(object).complete);
  EXPECT_EQ(cache_.OpenComplete(object), nullptr);
}

TEST_P(BlockCacheContract, VersionsNeverMix) {
  const ObjectId first = MakeObject("a", kBlock, "one");
  PutAll(first);
  ObjectId other = MakeObject("a", kBlock, "two");
  EXPECT_FALSE(cache_.Contains(other, 0));
  ObjectId unpinned = MakeObject("a", kBlock, "");
  PutAll(unpinned);
  EXPECT_TRUE(cache_.Contains(unpinned, 0));
  unpinned.last_modified += std::chrono::seconds(1);
  EXPECT_FALSE(cache_.Contains(unpinned, 0)) << "without an ETag the time is the version";
  other = first;
  other.version_id = "v2";
  EXPECT_FALSE(cache_.Contains(other, 0));
}

TEST_P(BlockCacheContract, ABlockOfTheWrongSizeIsNotKept) {
  const ObjectId object = MakeObject("a", 2 * kBlock);
  cache_.Put(object, 0, ShareBytes(std::vector(kBlock - 1, std::byte{1})));
  cache_.Put(object, 2, ShareBytes(std::vector(kBlock, std::byte{1})));
  subject_->Settle();
  EXPECT_FALSE(cache_.Contains(object, 0));
  EXPECT_FALSE(cache_.Contains(object, 2));
}

TEST_P(BlockCacheContract, ACompleteObjectIsAFileWithExactlyItsBytes) {
  const ObjectId object = MakeObject("a", 3 * kBlock + 5);
  PutAll(object);
  EXPECT_TRUE(cache_.GetShare(object).complete);
  const auto file = cache_.OpenComplete(object);
  ASSERT_NE(file, nullptr);
  std::vector<std::byte> bytes(object.size + 1);
  ASSERT_EQ(::pread(file->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(object.size));
  bytes.pop_back();
  EXPECT_EQ(bytes, BytesOf(object, {0, object.size}));
}

TEST_P(BlockCacheContract, ClearForgetsEverything) {
  const ObjectId object = MakeObject("a", 3 * kBlock);
  PutAll(object);
  cache_.Clear();
  EXPECT_FALSE(cache_.Contains(object, 0));
  EXPECT_EQ(cache_.GetStats().bytes, 0U);
  PutAll(object);
  EXPECT_TRUE(cache_.Contains(object, 2));
}

TEST_P(BlockCacheContract, VerifyStopsWhenCancelled) {
  PutAll(MakeObject("a", 3 * kBlock));
  const std::atomic<bool> cancelled{true};
  EXPECT_EQ(cache_.Verify({.cancelled = &cancelled}).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(cache_.Verify({})->blocks, 3U);
}

TEST_P(BlockCacheContract, ManyThreadsNeverReadAWrongByte) {
  const auto work = [this](int thread) {
    for (int round = 0; round < 50; ++round) {
      const ObjectId object = MakeObject("shared-" + std::to_string(round % 7), 8 * kBlock);
      const auto index = static_cast<uint64_t>((round + thread) % 8);
      cache_.Put(object, index, MakeBlock(object, index, kBlock));
      std::vector<std::byte> out(kBlock);
      const uint64_t wanted = (index + 7) % 8;
      const bool hit = cache_.Get(object, wanted, 0, out);
      EXPECT_TRUE(!hit || std::ranges::equal(out, MakeBlock(object, wanted, kBlock).bytes));
      const auto file = cache_.OpenComplete(object);
      EXPECT_TRUE(file == nullptr || file->fd() >= 0);
      if (thread == 0 && round % 20 == 19) cache_.Clear();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Kinds, BlockCacheContract,
                         ::testing::Values(Kind{"memory", [] { return std::make_unique<MemorySubject>(); }},
                                           Kind{"disk", [] { return std::make_unique<DiskSubject>(); }}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace s3overlay
