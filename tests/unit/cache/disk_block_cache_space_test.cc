// SPDX-License-Identifier: Apache-2.0
//
// How the cache on disk keeps to its limit, and what happens to files that were handed out when they have to go.
#include <sys/mman.h>

#include <chrono>
#include <thread>

#include "unit/cache/disk_block_cache_fixture.h"

namespace s3overlay {
namespace {

class DiskBlockCacheSpaceTest : public DiskBlockCacheFixture {
 protected:
  void OpenWithLimit(uint64_t limit) {
    Close();
    options_.size_limit = limit;
    Open();
  }

  bool WaitUntil(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      cache_->Flush();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

// An object's bytes as some program sees them that mapped it and closed its handle.
class Mapping {
 public:
  Mapping(int fd, uint64_t size) : size_(size), address_(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0)) {}
  ~Mapping() { ::munmap(address_, size_); }
  bool Shows(const ObjectId& object) const {
    const auto* bytes = static_cast<const std::byte*>(address_);
    return std::vector<std::byte>(bytes, bytes + size_) == BytesOf(object, {0, size_});
  }

 private:
  const uint64_t size_;
  void* const address_;
};

TEST_F(DiskBlockCacheSpaceTest, KeepsToItsLimitWhileTenTimesAsMuchIsWritten) {
  constexpr uint64_t kLimit = 2 << 20;
  OpenWithLimit(kLimit);
  for (int i = 0; i < 80; ++i) {
    PutAll(MakeObject("object-" + std::to_string(i), 256 << 10));
    EXPECT_LE(DiskUsage(), kLimit);
  }
  const BlockCacheStats stats = cache_->GetStats();
  EXPECT_LE(stats.bytes + stats.index_bytes, kLimit);
  EXPECT_GT(stats.bytes, kLimit / 2) << "and it is used";
  EXPECT_GT(stats.evictions, 0U);
  EXPECT_EQ(stats.dropped_writes, 0U);
  Reopen();
  EXPECT_LE(DiskUsage(), kLimit);
}

// As the names of a long walk, while no block is written.
TEST_F(DiskBlockCacheSpaceTest, MakesRoomForWhatOthersWriteBesideItsIndex) {
  constexpr uint64_t kLimit = 2 << 20;
  OpenWithLimit(kLimit);
  for (int i = 0; i < 8; ++i) PutAll(MakeObject("object-" + std::to_string(i), 256 << 10));
  ASSERT_GT(DiskUsage(), kLimit / 2);
  std::ofstream(dir_ / "metadata.sqlite") << std::string(kLimit / 2, 'x');
  for (int i = 0; i < 1000 && DiskUsage() > kLimit; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(DiskUsage(), kLimit);
}

TEST_F(DiskBlockCacheSpaceTest, AnObjectLargerThanTheCacheStreamsThrough) {
  constexpr uint64_t kLimit = 1 << 20;
  OpenWithLimit(kLimit);
  const ObjectId object = MakeObject("large", 4 << 20);
  for (uint64_t i = 0; i < BlockCount(object.size, kBlock); ++i) {
    Put(object, i);
    if (i % 32 != 31) continue;
    cache_->Flush();
    EXPECT_TRUE(Has(object, i));
  }
  EXPECT_LE(DiskUsage(), kLimit);
  EXPECT_FALSE(cache_->GetShare(object).complete);
  for (uint64_t i = 0; i < BlockCount(object.size, kBlock); ++i) (void)Has(object, i);
}

TEST_F(DiskBlockCacheSpaceTest, KeepsWhatIsReadAgainAndAgain) {
  OpenWithLimit(2 << 20);
  const ObjectId hot = MakeObject("hot", 512 << 10);
  PutAll(hot);
  const auto read_hot = [&] {
    uint64_t hits = 0;
    for (uint64_t i = 0; i < BlockCount(hot.size, kBlock); ++i) hits += Has(hot, i) ? 1 : 0;
    return hits;
  };
  for (int round = 0; round < 3; ++round) read_hot();
  for (int i = 0; i < 40; ++i) PutAll(MakeObject("scan-" + std::to_string(i), 256 << 10));
  EXPECT_GE(read_hot(), BlockCount(hot.size, kBlock) * 9 / 10);
}

TEST_F(DiskBlockCacheSpaceTest, WithNoRoomNothingIsKept) {
  OpenWithLimit(kBlock - 1);
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->GetStats().dropped_writes, 2U);
  Close();
  options_.min_free = uint64_t{1} << 60;
  OpenWithLimit(64 << 20);
  PutAll(object);
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->GetStats().bytes, 0U);
}

TEST_F(DiskBlockCacheSpaceTest, TheNumberOfObjectsIsBounded) {
  Close();
  options_.max_objects = 10;
  Open();
  for (int i = 0; i < 30; ++i) PutAll(MakeObject("object-" + std::to_string(i), kBlock));
  EXPECT_EQ(cache_->GetStats().objects, 10U);
  EXPECT_EQ(DataFiles().size(), 10U);
}

TEST_F(DiskBlockCacheSpaceTest, AQueueThatIsFullDropsAndNeverWaits) {
  Close();
  options_.write_queue_bytes = kBlock - 1;
  Open();
  const ObjectId object = MakeObject("a", 2 * kBlock);
  PutAll(object);
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->GetStats().dropped_writes, 2U);
}

TEST_F(DiskBlockCacheSpaceTest, WhatAWriteTakesBesideItsBytesCountsInTheQueue) {
  Close();
  options_.write_queue_bytes = 1000;
  Open();
  const ObjectId object = MakeObject("a", 1);
  PutAll(object);
  EXPECT_FALSE(Has(object, 0));
  EXPECT_EQ(cache_->GetStats().dropped_writes, 1U);
  options_.write_queue_bytes = 2 * kBlock;
  Reopen();
  for (int i = 0; i < 10; ++i) {
    PutAll(MakeObject("b", kBlock));
    EXPECT_EQ(cache_->GetStats().dropped_writes, 1U) << "what was taken is given back";
    cache_->Clear();
  }
}

TEST_F(DiskBlockCacheSpaceTest, AMappingOfALentFileNeverShowsZeros) {
  constexpr uint64_t kLimit = 2 << 20;
  constexpr uint64_t kSize = 256 << 10;
  OpenWithLimit(kLimit);
  std::vector<ObjectId> objects;
  std::vector<std::unique_ptr<Mapping>> mappings;
  for (int i = 0; i < 7; ++i) {
    objects.push_back(MakeObject("lent-" + std::to_string(i), kSize));
    PutAll(objects.back());
    const auto lent = cache_->OpenComplete(objects.back());
    ASSERT_NE(lent, nullptr);
    mappings.push_back(std::make_unique<Mapping>(lent->fd(), kSize));
  }
  for (int i = 0; i < 10; ++i) {
    PutAll(MakeObject("object-" + std::to_string(i), kSize));
    EXPECT_LE(DiskUsage(), kLimit) << "what is mapped counts";
  }
  EXPECT_FALSE(cache_->Contains(objects[0], 0)) << "the oldest one was evicted";
  cache_->Clear();
  for (size_t i = 0; i < objects.size(); ++i) EXPECT_TRUE(mappings[i]->Shows(objects[i]));
  EXPECT_GE(cache_->GetStats().bytes, objects.size() * kSize);
  mappings.clear();
  EXPECT_TRUE(WaitUntil([&] { return cache_->GetStats().bytes == 0; }));
  EXPECT_TRUE(DataFiles().empty());
}

TEST_F(DiskBlockCacheSpaceTest, AnOpenLentFileIsNotEvicted) {
  OpenWithLimit(2 << 20);
  const ObjectId object = MakeObject("lent", 1 << 20);
  PutAll(object);
  const auto lent = cache_->OpenComplete(object);
  ASSERT_NE(lent, nullptr);
  EXPECT_EQ(cache_->OpenComplete(object), lent) << "one descriptor for all";
  for (int i = 0; i < 30; ++i) PutAll(MakeObject("object-" + std::to_string(i), 256 << 10));
  EXPECT_TRUE(Has(object, 0));
  EXPECT_LE(DiskUsage(), uint64_t{2} << 20);
}

TEST_F(DiskBlockCacheSpaceTest, AFileThatWasLentInAnEarlierRunGoesWhole) {
  OpenWithLimit(2 << 20);
  const ObjectId object = MakeObject("lent", 1 << 20);
  PutAll(object);
  auto lent = cache_->OpenComplete(object);
  ASSERT_NE(lent, nullptr);
  const Mapping mapping(lent->fd(), object.size);
  lent = nullptr;
  OpenWithLimit(1 << 19);
  EXPECT_FALSE(cache_->Contains(object, 0));
  EXPECT_EQ(cache_->GetStats().objects, 0U);
  EXPECT_TRUE(mapping.Shows(object));
}

}  // namespace
}  // namespace s3overlay
