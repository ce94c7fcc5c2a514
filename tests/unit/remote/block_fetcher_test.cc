// SPDX-License-Identifier: Apache-2.0
#include "remote/block_fetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <thread>

#include "support/eventually.h"
#include "support/memory_block_cache.h"
#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

using testing::Eventually;
using testing::MemoryBlockCache;
using testing::MemoryObjectStore;
using Call = MemoryObjectStore::Call;

constexpr uint64_t kBlock = 4096;

std::string MakeBytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(1 + (i * 2654435761U >> 7) % 251);
  return bytes;
}

// An empty cache; memory runs out when it is asked for the second time what it has.
class CacheWithoutMemory final : public BlockCache {
 public:
  uint64_t block_size() const override { return kBlock; }
  bool Get(const ObjectId&, uint64_t, uint64_t, std::span<std::byte>) override { return false; }
  bool Contains(const ObjectId&, uint64_t) const override {
    if (++asked_ == 2) throw std::bad_alloc();
    return false;
  }
  void Put(const ObjectId&, uint64_t, SharedBytes) override {}
  CacheShare GetShare(const ObjectId&) const override { return {}; }
  std::shared_ptr<BackingFile> OpenComplete(const ObjectId&) override { return nullptr; }
  void Clear() override {}
  Result<CacheVerifyReport> Verify(const CallContext&) override { return CacheVerifyReport(); }
  BlockCacheStats GetStats() const override { return {}; }
  int asked() const { return asked_; }

 private:
  mutable std::atomic<int> asked_ = 0;
};

class BlockFetcherTest : public ::testing::Test {
 protected:
  BlockFetcherTest() : bytes_(MakeBytes(64 * kBlock + 100)) {
    object_ = std::make_shared<PinnedObject>(store_.Put("b", "k", bytes_), store_);
    store_.SetChunk(kBlock / 2);
  }
  void Start(BlockCache* cache = nullptr) {
    fetcher_ = std::make_unique<BlockFetcher>(options_, cache, clock_, metrics_);
  }

  // "ok", "wrong bytes" or the error's name.
  std::string Read(ByteRange range, CallContext context = {}, uint64_t fetch_through = 0) {
    std::string out(range.size, '\0');
    const auto chain = fetcher_->Read(object_, range, fetch_through, context);
    if (!chain) return std::string(ErrorCodeName(chain.error().code));
    if (chain->size() != range.size) return "wrong size";
    chain->CopyTo(std::as_writable_bytes(std::span(out)));
    return out == bytes_.substr(range.offset, range.size) ? "ok" : "wrong bytes";
  }
  std::string ReadBlock(uint64_t index, CallContext context = {}) { return Read({index * kBlock, kBlock}, context); }
  bool IsNear(uint64_t index) { return ReadBlock(index, {.may_block = false}) == "ok"; }

  const SystemClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  const std::string bytes_;
  PinnedObjectPtr object_;
  BlockFetcherOptions options_{.block_size = kBlock, .max_part = 16 * kBlock, .own_get_distance = 1 << 20};
  std::unique_ptr<BlockFetcher> fetcher_;
};

TEST_F(BlockFetcherTest, RunOfMissingBlocksIsOneGetAndIsKept) {
  Start();
  EXPECT_EQ(Read({kBlock + 10, 3 * kBlock}), "ok");
  ASSERT_EQ(store_.gets(), 1);
  EXPECT_EQ(store_.ranges().front(), (ByteRange{kBlock, 4 * kBlock}));
  EXPECT_EQ(Read({kBlock, kBlock}, {.may_block = false}), "ok");
  EXPECT_EQ(Read({0, kBlock}, {.may_block = false}), "would block");
  EXPECT_EQ(Read({64 * kBlock, 100}), "ok");
  EXPECT_EQ(Read({0, bytes_.size()}), "ok");
}

TEST_F(BlockFetcherTest, GetMayGoOnFurther) {
  Start();
  EXPECT_EQ(Read({0, 10}, {}, 5 * kBlock), "ok");
  EXPECT_TRUE(Eventually([&] { return IsNear(4); }));
  EXPECT_EQ(store_.gets(), 1);
}

TEST_F(BlockFetcherTest, WaitersWakeAtTheirBlockNotAtTheEndOfThePart) {
  Start();
  store_.CloseGate(Call::kGet, 8 * kBlock);
  std::thread far([&] { EXPECT_EQ(Read({0, 16 * kBlock}), "ok"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  EXPECT_EQ(ReadBlock(7), "ok");  // The part is still under way.
  std::thread same([&] { EXPECT_EQ(ReadBlock(12), "ok"); });
  store_.OpenGate(Call::kGet);
  far.join();
  same.join();
  EXPECT_EQ(store_.gets(), 1);
}

TEST_F(BlockFetcherTest, ReadsThatHangOnOneStoreHoldUpNoneOnAnother) {
  MemoryObjectStore other;
  const auto near = std::make_shared<PinnedObject>(other.Put("b", "elsewhere", bytes_), other);
  options_.demand_threads = 1;
  Start();
  store_.CloseGate(Call::kGet);
  std::thread hung([&] { EXPECT_EQ(ReadBlock(0), "ok"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  const auto chain =
      fetcher_->Read(near, {0, kBlock}, 0, {.deadline = Deadline::After(clock_, std::chrono::seconds(20))});
  EXPECT_TRUE(chain) << chain.error().message;
  store_.OpenGate(Call::kGet);
  hung.join();
}

// Each GET under way is a connection to the store.
TEST_F(BlockFetcherTest, ManyReadersMakeNoMoreGetsAtATimeThanThereAreThreads) {
  options_.demand_threads = 5;
  options_.max_part = kBlock;
  Start();
  store_.CloseGate(Call::kGet);
  std::vector<std::jthread> readers;
  for (uint64_t i = 0; i < 64; ++i) {
    readers.emplace_back([this, i] { EXPECT_EQ(ReadBlock(i), "ok"); });
  }
  EXPECT_TRUE(Eventually([&] { return fetcher_->GetQueues().front().length == 64 - 5; }));
  EXPECT_EQ(store_.gets(), 5);
  store_.OpenGate(Call::kGet);
  readers.clear();
  EXPECT_EQ(store_.gets(), 64);
  EXPECT_EQ(fetcher_->GetQueues().front().length, 0U);
}

TEST_F(BlockFetcherTest, BlockFarAheadInAPartHasItsOwnGet) {
  options_.own_get_distance = 4 * kBlock;
  Start();
  store_.CloseGate(Call::kGet, 2 * kBlock);
  std::thread part([&] { EXPECT_EQ(Read({0, 16 * kBlock}), "ok"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread near([&] { EXPECT_EQ(ReadBlock(4), "ok"); });
  std::thread far([&] { EXPECT_EQ(ReadBlock(12), "ok"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet, 2));
  store_.OpenGate(Call::kGet);
  part.join();
  near.join();
  far.join();
  EXPECT_EQ(store_.gets(), 2);
}

TEST_F(BlockFetcherTest, FailureIsNotRememberedAndSparesWhatHadCome) {
  Start();
  store_.CloseGate(Call::kGet, 2 * kBlock);
  std::thread reader([&] { EXPECT_EQ(Read({0, 4 * kBlock}), "unavailable"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  store_.CutBlocked(Call::kGet, ErrorCode::kUnavailable);
  reader.join();
  EXPECT_TRUE(IsNear(1));
  EXPECT_FALSE(IsNear(2));
  store_.OpenGate(Call::kGet);
  store_.Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(Read({8 * kBlock, kBlock}), "unavailable");
  store_.Heal();
  EXPECT_EQ(Read({0, 9 * kBlock}), "ok");
}

TEST_F(BlockFetcherTest, WaiterLeavesAloneAndTheFlightGoesOn) {
  Start();
  store_.CloseGate(Call::kGet, 0);
  std::atomic<bool> cancelled{false};
  std::thread leader([&] { EXPECT_EQ(ReadBlock(0, {.cancelled = &cancelled}), "cancelled"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread other([&] { EXPECT_EQ(ReadBlock(0), "ok"); });
  cancelled = true;
  leader.join();
  EXPECT_EQ(ReadBlock(0, {.deadline = Deadline::After(clock_, std::chrono::milliseconds(20))}), "timed out");
  store_.OpenGate(Call::kGet);
  other.join();
  EXPECT_EQ(store_.gets(), 1);
}

TEST_F(BlockFetcherTest, PrefetchThatGaveUpIsNoAnswerForALaterReader) {
  for (const ErrorCode code :
       {ErrorCode::kTimedOut, ErrorCode::kThrottled, ErrorCode::kUnavailable, ErrorCode::kBadResponse}) {
    Start();
    const int gets = store_.gets();
    const uint64_t used = metrics_.Get(Metric::kPrefetchUsed);
    store_.CloseGate(Call::kGet, 0);
    // A prefetch gives up sooner than a reader would. That one waits for it shows in what was used.
    fetcher_->Prefetch(object_, {0, kBlock}, std::make_shared<std::atomic<bool>>(false));
    EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
    std::thread patient([&] { EXPECT_EQ(ReadBlock(0), "ok") << ErrorCodeName(code); });
    EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchUsed) == used + kBlock; }));
    store_.CutBlocked(Call::kGet, code);
    EXPECT_TRUE(Eventually([&] { return store_.gets() == gets + 2; })) << ErrorCodeName(code);
    store_.OpenGate(Call::kGet);
    patient.join();
  }
}

TEST_F(BlockFetcherTest, WhatASecondTryFindsIsTheAnswer) {
  Start();
  store_.CloseGate(Call::kGet, 0);
  fetcher_->Prefetch(object_, {0, kBlock}, std::make_shared<std::atomic<bool>>(false));
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread reader([&] { EXPECT_EQ(ReadBlock(0), "unavailable"); });
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchUsed) == kBlock; }));
  store_.Fail(ErrorCode::kUnavailable);
  store_.CutBlocked(Call::kGet, ErrorCode::kUnavailable);
  reader.join();
  EXPECT_EQ(store_.gets(), 2);
}

TEST_F(BlockFetcherTest, CacheIsFilledAndSparesTheStore) {
  MemoryBlockCache cache({.block_size = kBlock});
  Start(&cache);
  EXPECT_EQ(Read({0, 4 * kBlock}), "ok");
  EXPECT_TRUE(Eventually([&] { return cache.GetShare(object_->cache_id).bytes == 4 * kBlock; }));
  Start(&cache);
  store_.Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(Read({100, 3 * kBlock}, {.may_block = false}), "ok");
  EXPECT_EQ(ReadBlock(4), "unavailable");
}

TEST_F(BlockFetcherTest, PrefetchComesBeforeTheReaderAndIsCounted) {
  Start();
  const auto token = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {0, 8 * kBlock}, token);
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetched) == 8 * kBlock; }));
  EXPECT_TRUE(IsNear(3));
  EXPECT_TRUE(IsNear(3));
  EXPECT_EQ(metrics_.Get(Metric::kPrefetchUsed), kBlock);
  EXPECT_EQ(store_.gets(), 1);
}

TEST_F(BlockFetcherTest, AbandonedPrefetchStopsUnlessAReaderWaits) {
  Start();
  store_.CloseGate(Call::kGet, 0);
  const auto wanted = std::make_shared<std::atomic<bool>>(false);
  const auto unwanted = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {0, 8 * kBlock}, wanted);
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread reader([&] { EXPECT_EQ(ReadBlock(2), "ok"); });
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchUsed) == kBlock; }));
  fetcher_->Prefetch(object_, {16 * kBlock, 8 * kBlock}, unwanted);
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet, 2));
  fetcher_->Abandon(wanted);
  fetcher_->Abandon(unwanted);
  EXPECT_TRUE(Eventually([&] { return fetcher_->memory_used() == 8 * kBlock; }));  // The second gave its memory back.
  store_.OpenGate(Call::kGet);
  reader.join();
  EXPECT_EQ(store_.gets(), 2);
}

TEST_F(BlockFetcherTest, MemoryIsBoundedAndPrefetchLeavesAShareToReaders) {
  options_.memory_limit = 16 * kBlock;
  Start();
  store_.CloseGate(Call::kGet, 0);
  const auto token = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {0, 40 * kBlock}, token);
  EXPECT_TRUE(Eventually([&] { return fetcher_->memory_used() >= 12 * kBlock; }));
  std::thread reader([&] { EXPECT_EQ(Read({50 * kBlock, 4 * kBlock}), "ok"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet, 7));  // Six parts of two blocks ahead, and one that is waited for.
  EXPECT_LE(fetcher_->memory_used(), 16 * kBlock);
  store_.OpenGate(Call::kGet);
  reader.join();
  EXPECT_EQ(Read({0, bytes_.size()}), "ok");
  EXPECT_LE(fetcher_->memory_used(), 16 * kBlock);
}

TEST_F(BlockFetcherTest, PrefetchSaysHowFarItsMemoryReaches) {
  options_.memory_limit = 16 * kBlock;  // Parts of two blocks, and twelve blocks for prefetching.
  Start();
  store_.CloseGate(Call::kGet, 0);
  const auto token = std::make_shared<std::atomic<bool>>(false);
  EXPECT_EQ(fetcher_->Prefetch(object_, {0, 40 * kBlock}, token), 12 * kBlock);
  EXPECT_EQ(fetcher_->memory_used(), 12 * kBlock);
  store_.OpenGate(Call::kGet);
}

TEST_F(BlockFetcherTest, EachOfThoseWhoPrefetchHasAnEqualShare) {
  options_.memory_limit = 64 * (kBlock + BlockMemory::kOverhead);
  Start();
  EXPECT_EQ(fetcher_->GetPrefetchShare(), 48 * kBlock);
  std::vector<PrefetchToken> tokens;
  for (uint64_t i = 0; i < 3; ++i) {
    tokens.push_back(std::make_shared<std::atomic<bool>>(false));
    fetcher_->Prefetch(object_, {i * kBlock, kBlock}, tokens.back());
  }
  EXPECT_EQ(fetcher_->GetPrefetchShare(), 16 * kBlock);
  fetcher_->Abandon(tokens.back());
  EXPECT_EQ(fetcher_->GetPrefetchShare(), 24 * kBlock);
}

// A read that was advised before another found that nothing ahead is wanted any more.
TEST_F(BlockFetcherTest, WhatIsNotWantedAnyMoreIsNotBegunAndTakesNoShare) {
  Start();
  const uint64_t share = fetcher_->GetPrefetchShare();
  const auto token = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Abandon(token);
  EXPECT_EQ(fetcher_->Prefetch(object_, {kBlock, kBlock}, token), kBlock);
  fetcher_->Prefetch(object_, {0, kBlock}, std::make_shared<std::atomic<bool>>(false));
  EXPECT_EQ(fetcher_->GetPrefetchShare(), share);
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetched) == kBlock; }));
  EXPECT_EQ(store_.gets(), 1);
}

TEST_F(BlockFetcherTest, WhatWasFetchedForAClosedFileLeavesItsMemoryToOthers) {
  options_.memory_limit = 16 * kBlock;
  Start();
  const auto closed = std::make_shared<std::atomic<bool>>(false);
  store_.CloseGate(Call::kGet, 0);  // What has come takes more than was set aside for it.
  EXPECT_EQ(fetcher_->Prefetch(object_, {0, 12 * kBlock}, closed), 12 * kBlock);
  store_.OpenGate(Call::kGet);
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetched) == 12 * kBlock; }));
  const auto open = std::make_shared<std::atomic<bool>>(false);
  EXPECT_EQ(fetcher_->Prefetch(object_, {20 * kBlock, 4 * kBlock}, open), 20 * kBlock);
  fetcher_->Abandon(closed);
  EXPECT_EQ(fetcher_->Prefetch(object_, {20 * kBlock, 4 * kBlock}, open), 24 * kBlock);
}

TEST_F(BlockFetcherTest, WhatLandsForAClosedFileLeavesItsMemoryToOthers) {
  options_.memory_limit = 16 * kBlock;
  Start();
  store_.CloseGate(Call::kGet, 0);
  const auto closed = std::make_shared<std::atomic<bool>>(false);
  EXPECT_EQ(fetcher_->Prefetch(object_, {0, 2 * kBlock}, closed), 2 * kBlock);
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread reader([&] { EXPECT_EQ(ReadBlock(0), "ok"); });  // So that the part goes on.
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchUsed) == kBlock; }));
  fetcher_->Abandon(closed);
  store_.OpenGate(Call::kGet);
  reader.join();
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetched) == 2 * kBlock; }));
  store_.CloseGate(Call::kGet, 0);
  const auto open = std::make_shared<std::atomic<bool>>(false);
  EXPECT_EQ(fetcher_->Prefetch(object_, {20 * kBlock, 12 * kBlock}, open), 32 * kBlock);
  store_.OpenGate(Call::kGet);
}

TEST_F(BlockFetcherTest, WhatIsFetchedAheadForNobodyIsCountedToTheByte) {
  options_.memory_limit = 16 * (kBlock + BlockMemory::kOverhead);
  Start();
  const auto prefetched = [&] { return metrics_.Get(Metric::kPrefetched); };
  const auto push_out_all = [&] { return Read({20 * kBlock, 14 * kBlock}) + Read({34 * kBlock, 16 * kBlock}); };
  const auto one = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {63 * kBlock, kBlock + 100}, one);
  EXPECT_TRUE(Eventually([&] { return prefetched() == kBlock + 100; }));
  EXPECT_TRUE(IsNear(63));
  fetcher_->Abandon(one);
  EXPECT_EQ(metrics_.Get(Metric::kPrefetchWasted), 0U) << "it is still in memory";
  EXPECT_EQ(push_out_all(), "okok");
  uint64_t wasted = 100;  // The last block, which is short.
  EXPECT_EQ(metrics_.Get(Metric::kPrefetchWasted), wasted);

  // The handle is closed; of the part that goes on for somebody else's sake he takes one block.
  store_.CloseGate(Call::kGet, 0);
  const auto closed = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {0, 2 * kBlock}, closed);
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  std::thread reader([&] { EXPECT_EQ(ReadBlock(0), "ok"); });
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchUsed) == 2 * kBlock; }));
  fetcher_->Abandon(closed);
  store_.OpenGate(Call::kGet);
  reader.join();
  EXPECT_TRUE(Eventually([&] { return prefetched() == 3 * kBlock + 100; }));
  EXPECT_EQ(push_out_all(), "okok");
  wasted += kBlock;
  EXPECT_EQ(metrics_.Get(Metric::kPrefetchWasted), wasted);

  // It stops in the middle of a block.
  store_.CloseGate(Call::kGet, 56 * kBlock + kBlock / 2);
  const auto stopped = std::make_shared<std::atomic<bool>>(false);
  fetcher_->Prefetch(object_, {56 * kBlock, kBlock}, stopped);
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  fetcher_->Abandon(stopped);
  wasted += kBlock / 2;
  EXPECT_TRUE(Eventually([&] { return metrics_.Get(Metric::kPrefetchWasted) == wasted; }));
  EXPECT_EQ(prefetched(), 3 * kBlock + 100 + kBlock / 2);
  EXPECT_EQ(metrics_.Get(Metric::kPrefetchUsed), 2 * kBlock);
  store_.OpenGate(Call::kGet);
}

TEST_F(BlockFetcherTest, PrefetchThatFindsNoMemoryToBeginWithEnds) {
  CacheWithoutMemory cache;
  Start(&cache);
  fetcher_->Prefetch(object_, {0, kBlock}, std::make_shared<std::atomic<bool>>(false));
  EXPECT_TRUE(Eventually([&] { return cache.asked() == 2 && fetcher_->memory_used() == 0; }));
  EXPECT_EQ(ReadBlock(0), "ok");
  fetcher_.reset();  // It still hands the block to the cache.
}

TEST_F(BlockFetcherTest, DestructionCancelsWhatIsUnderWay) {
  Start();
  store_.CloseGate(Call::kGet, 0);
  fetcher_->Prefetch(object_, {0, 64 * kBlock}, std::make_shared<std::atomic<bool>>(false));
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  fetcher_.reset();  // Returns.
}

}  // namespace
}  // namespace s3overlay
