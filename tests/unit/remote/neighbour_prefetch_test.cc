// SPDX-License-Identifier: Apache-2.0
#include "remote/neighbour_prefetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

using testing::MemoryObjectStore;

// Knows the listing of one directory, "d".
class OneDirectory final : public ObjectCatalog {
 public:
  void Set(std::shared_ptr<const CatalogListing> listing) { listing_ = std::move(listing); }

  Result<std::shared_ptr<const CatalogListing>> List(std::string_view path, const CallContext&) override {
    if (path != "d" || listing_ == nullptr) return Error{ErrorCode::kWouldBlock, "not known"};
    return listing_;
  }
  Result<CatalogEntry> Find(std::string_view, const CallContext&) override {
    return Error{ErrorCode::kWouldBlock, "not known"};
  }
  Result<std::optional<CatalogEntry>> LastKnown(std::string_view) const override {
    return std::optional<CatalogEntry>();
  }
  std::shared_ptr<const CatalogListing> LastKnownListing(std::string_view) const override { return nullptr; }
  void Forget(std::string_view) override {}
  std::string Describe(std::string_view path) const override { return std::string(path); }

 private:
  std::shared_ptr<const CatalogListing> listing_;
};

class NeighbourPrefetchTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, size_t size) {
    store_.Put("b", "d/" + name, std::string(size, 'x'));
    const auto object = store_.Head("b", "d/" + name, {});
    names_.Add(name, &*object);
  }
  std::weak_ptr<const CatalogListing> List() {
    names_.SortAndHide();
    const auto listing = names_.Build({});
    catalog_.Set(listing);
    return listing;
  }
  void Open(const std::string& name) { neighbours_.OnOpen("d/" + name, 1); }

  // How many objects of that many bytes are fetched ahead, once there are `least`.
  int64_t FetchedOf(uint64_t size, int64_t least) {
    int64_t fetched = 0;
    for (int i = 0; i < 2000; ++i) {
      const auto ranges = store_.ranges();
      fetched = std::ranges::count(ranges, ByteRange{0, size});
      if (fetched >= least) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return fetched;
  }

  const SystemClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  OneDirectory catalog_;
  CatalogListing::Builder names_;
  BlockFetcher fetcher_{{}, nullptr, clock_, metrics_};
  NeighbourPrefetch neighbours_{{}, catalog_, store_, fetcher_};
};

TEST_F(NeighbourPrefetchTest, WhoOpensTwoNeighboursGetsTheNextOfTheirKind) {
  for (const std::string name : {"1", "2", "3", "4", "5"}) {
    Put(name + ".jpg", 100);
    Put(name + ".json", 200);
  }
  List();
  Open("1.jpg");
  EXPECT_EQ(store_.gets(), 0);
  Open("2.jpg");
  EXPECT_EQ(FetchedOf(100, 3), 3);
  EXPECT_EQ(FetchedOf(200, 0), 0);
}

TEST_F(NeighbourPrefetchTest, NamesThatEndInANumberAreOneSeries) {
  for (const std::string name : {"1", "2", "3", "4", "5"}) Put("chunk.00" + name, 100);
  List();
  Open("chunk.001");
  Open("chunk.002");
  EXPECT_EQ(FetchedOf(100, 3), 3);
}

TEST_F(NeighbourPrefetchTest, NamesWithALongEndingAreOneSeries) {
  for (const std::string name : {"1", "2", "3", "4", "5"}) Put("part.of-a-table-with-id-" + name, 100);
  List();
  Open("part.of-a-table-with-id-1");
  Open("part.of-a-table-with-id-2");
  EXPECT_EQ(FetchedOf(100, 3), 3);
}

// A directory is one more who prefetches: a handle that comes later finds room for its own.
TEST_F(NeighbourPrefetchTest, ADirectoryTakesNoMoreThanItsShare) {
  constexpr size_t kSize = 64 << 10;
  constexpr uint64_t kOther = 1 << 20;
  BlockFetcher small({.memory_limit = 8 << 20, .block_size = 4096}, nullptr, clock_, metrics_);
  NeighbourPrefetch neighbours({}, catalog_, store_, small);
  for (int i = 100; i < 300; ++i) Put(std::to_string(i) + ".jpg", kSize);
  List();
  const auto handle = std::make_shared<std::atomic<bool>>(false);
  const auto file = std::make_shared<PinnedObject>(store_.Put("b", "other", std::string(2 * kOther, 'x')), store_);
  EXPECT_EQ(small.Prefetch(file, {0, kOther}, handle), kOther);
  for (int i = 100; i < 200; ++i) {
    const std::string path = "d/" + std::to_string(i) + ".jpg";
    neighbours.OnOpen(path, kSize);
    const auto object = std::make_shared<PinnedObject>(store_.Head("b", path, {})->id, store_);
    EXPECT_TRUE(small.Read(object, {0, kSize}, kSize, {}));
  }
  EXPECT_EQ(small.Prefetch(file, {kOther, kOther}, handle), 2 * kOther);
}

TEST_F(NeighbourPrefetchTest, KeepsNoListingThatTheCatalogHasLetGo) {
  Put("1.jpg", 100);
  const std::weak_ptr<const CatalogListing> listing = List();
  Open("1.jpg");
  EXPECT_FALSE(listing.expired());
  catalog_.Set(nullptr);
  EXPECT_TRUE(listing.expired());
  Open("1.jpg");
}

}  // namespace
}  // namespace s3overlay
