// SPDX-License-Identifier: Apache-2.0
#include "remote/object_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "remote/key_catalog.h"
#include "support/eventually.h"
#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

using testing::Eventually;
using testing::MemoryObjectStore;
using Call = MemoryObjectStore::Call;

constexpr uint64_t kMiB = 1 << 20;

class ObjectReaderTest : public ::testing::Test {
 protected:
  ObjectReaderTest() : bytes_(64 * kMiB, 'b') {
    object_ = std::make_shared<PinnedObject>(store_.Put("b", "k", bytes_), store_);
    reader_ = std::make_unique<ObjectReader>(
        Entry{}, object_,
        ObjectReaderTools{.catalog = catalog_, .fetcher = fetcher_, .cache = nullptr, .clock = clock_});
  }

  bool Read(uint64_t offset, size_t size) {
    const auto chain = reader_->Borrow(offset, size, {});
    return chain && chain->size() == size;
  }

  const SystemClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  const std::string bytes_;
  PinnedObjectPtr object_;
  KeyCatalog catalog_{{.bucket = "b", .prefix = ""}, store_, clock_, metrics_};
  BlockFetcher fetcher_{{.prefetch_threads = 1}, nullptr, clock_, metrics_};
  std::unique_ptr<ObjectReader> reader_;
};

TEST_F(ObjectReaderTest, WhenThePatternTurnsRandomNothingMoreIsFetchedAhead) {
  constexpr uint64_t kWalkEnd = 34 * kMiB;
  store_.CloseGate(Call::kGet, kWalkEnd);
  for (uint64_t at = 16 * kMiB; at < kWalkEnd; at += kMiB) ASSERT_TRUE(Read(at, kMiB));
  ASSERT_TRUE(store_.WaitUntilBlocked(Call::kGet));
  const uint64_t with_all_that_is_queued = fetcher_.memory_used();
  const auto walked = static_cast<size_t>(store_.gets());
  for (const uint64_t at : {kMiB, 9 * kMiB, 5 * kMiB}) ASSERT_TRUE(Read(at, 4096));
  // The one under way, too: the gate is still closed.
  EXPECT_TRUE(Eventually([&] { return fetcher_.memory_used() + 10 * kMiB < with_all_that_is_queued; }));
  EXPECT_TRUE(Eventually([&] { return fetcher_.memory_used() < 19 * kMiB; })) << fetcher_.memory_used();
  store_.OpenGate(Call::kGet);
  for (const uint64_t at : {3 * kMiB, 12 * kMiB}) ASSERT_TRUE(Read(at, 4096));
  uint64_t requested = 0;
  const std::vector<ByteRange> ranges = store_.ranges();
  for (size_t i = walked; i < ranges.size(); ++i) requested += ranges[i].size;
  EXPECT_EQ(requested, 5 * fetcher_.block_size());
  EXPECT_TRUE(Read(40 * kMiB, kMiB));  // What was dropped can be had as anything else.
}

TEST_F(ObjectReaderTest, WhoGoesOnAfterATurnIsFetchedAheadAgain) {
  for (uint64_t at = 16 * kMiB; at < 34 * kMiB; at += kMiB) ASSERT_TRUE(Read(at, kMiB));
  for (const uint64_t at : {kMiB, 9 * kMiB, 5 * kMiB}) ASSERT_TRUE(Read(at, 4096));
  ASSERT_TRUE(Read(34 * kMiB, kMiB));
  const uint64_t last = BlockCount(50 * kMiB, fetcher_.block_size()) - 1;
  EXPECT_TRUE(Eventually([&] {
    const ByteRange block{last * fetcher_.block_size(), 1};
    return fetcher_.Read(object_, block, block.end(), {.may_block = false}).has_value();
  }));
}

}  // namespace
}  // namespace s3overlay
