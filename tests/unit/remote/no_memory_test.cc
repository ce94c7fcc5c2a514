// SPDX-License-Identifier: Apache-2.0
//
// Memory runs out at each point of a call in turn: that call may fail, and nobody after it waits for what it left
// behind.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>

#include "remote/block_fetcher.h"
#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

thread_local int allocations_left = -1;  // Of this thread; below zero: as many as it likes.

// The calls of one thread in which only so many allocations succeed.
class ShortOfMemory {
 public:
  explicit ShortOfMemory(int allocations) { allocations_left = allocations; }
  ~ShortOfMemory() { allocations_left = -1; }
  ShortOfMemory(const ShortOfMemory&) = delete;
  ShortOfMemory& operator=(const ShortOfMemory&) = delete;
};

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kBlocksOfRead = 4;
constexpr int kMostAllocations = 100;  // More than any call here makes.

class NoMemoryTest : public ::testing::Test {
 protected:
  NoMemoryTest() : object_(std::make_shared<PinnedObject>(store_.Put("b", "k", bytes_), store_)) {}

  std::string Read(ByteRange range) {
    const CallContext context{.deadline = Deadline::After(clock_, std::chrono::seconds(20))};
    std::string out(range.size, '\0');
    const auto chain = fetcher_.Read(object_, range, range.end() + kBlock, context);
    if (!chain) return std::string(ErrorCodeName(chain.error().code));
    chain->CopyTo(std::as_writable_bytes(std::span(out)));
    return out == bytes_.substr(range.offset, range.size) ? "ok" : "wrong bytes";
  }

  // Runs `call` on ever other blocks, with memory for one allocation more each time; answers how often it ran out.
  template <typename Call>
  int RunOutEverywhere(const Call& call) {
    int ran_out = 0;
    for (int i = 0; i < kMostAllocations; ++i) {
      const ByteRange range{static_cast<uint64_t>(i) * kBlocksOfRead * kBlock, kBlocksOfRead * kBlock};
      try {
        const ShortOfMemory shortage(i);
        call(range);
      } catch (const std::bad_alloc&) {
        ++ran_out;
      }
      EXPECT_EQ(Read(range), "ok") << "after " << i << " allocations";
    }
    return ran_out;
  }

  const SystemClock clock_;
  Metrics metrics_;
  testing::MemoryObjectStore store_;
  const std::string bytes_ = std::string((kMostAllocations + 1) * kBlocksOfRead * kBlock, 'x');
  const PinnedObjectPtr object_;
  BlockFetcher fetcher_{{.block_size = kBlock}, nullptr, clock_, metrics_};
};

TEST_F(NoMemoryTest, ARead) {
  const CallContext context{.deadline = Deadline::After(clock_, std::chrono::minutes(2))};
  const int ran_out =
      RunOutEverywhere([&](ByteRange range) { (void)fetcher_.Read(object_, range, range.end() + kBlock, context); });
  EXPECT_GT(ran_out, 5);
  EXPECT_LT(ran_out, kMostAllocations);
}

TEST_F(NoMemoryTest, APrefetch) {
  const auto token = std::make_shared<std::atomic<bool>>(false);
  const int ran_out = RunOutEverywhere([&](ByteRange range) { (void)fetcher_.Prefetch(object_, range, token); });
  EXPECT_LT(ran_out, kMostAllocations);
  fetcher_.Abandon(token);
}

}  // namespace
}  // namespace s3overlay

// Never inline: g++ would see malloc and free in the place of new and delete, and complain.
[[gnu::noinline]] void* operator new(size_t bytes) {
  if (s3overlay::allocations_left == 0) throw std::bad_alloc();
  if (s3overlay::allocations_left > 0) --s3overlay::allocations_left;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
