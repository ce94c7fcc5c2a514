// SPDX-License-Identifier: Apache-2.0
#include "remote/object_source.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "remote/key_catalog.h"
#include "support/fake_clock.h"
#include "support/memory_block_cache.h"
#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

using testing::FakeClock;
using testing::MemoryBlockCache;
using testing::MemoryObjectStore;

constexpr uint64_t kBlock = 4096;

std::string MakeBytes(size_t size, char seed) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>(seed + static_cast<char>(i % 61) + static_cast<char>(i / kBlock));
  return bytes;
}

class ObjectSourceTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& path, size_t size, char seed = 'a') {
    std::string bytes = MakeBytes(size, seed);
    store_.Put("b", "p/" + path, bytes);
    return bytes;
  }
  std::shared_ptr<OpenFile> Open(const std::string& path) {
    const auto entry = source_.Lookup(path, {});
    if (!entry) return nullptr;
    auto file = source_.Open(*entry, {});
    return file ? *file : nullptr;
  }
  static Result<std::string> Read(OpenFile& file, uint64_t offset, size_t size, const CallContext& context = {}) {
    std::string out(size, '\0');
    const auto read = file.Read(offset, std::as_writable_bytes(std::span(out)), context);
    if (!read) return read.error();
    out.resize(*read);
    return out;
  }
  static ErrorCode ReadError(OpenFile& file, uint64_t offset, size_t size) {
    const auto read = Read(file, offset, size);
    return read ? ErrorCode::kSystem : read.error().code;
  }

  // The cache is given a block after its readers are.
  bool ReadIntoCache(OpenFile& file) {
    const auto entry = file.GetEntry();
    if (!Read(file, 0, entry->attributes.size)) return false;
    for (int i = 0; i < 4000 && !source_.GetCacheShare(*entry).complete; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return source_.GetCacheShare(*entry).complete;
  }

  FakeClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  MemoryBlockCache cache_{{.block_size = kBlock}};
  KeyCatalog catalog_{{.bucket = "b", .prefix = "p", .lane = 3}, store_, clock_, metrics_};
  BlockFetcher fetcher_{{.memory_limit = 1 << 20}, &cache_, clock_, metrics_};
  ObjectSource source_{{.spec = "s3://b/p", .lane = 3}, catalog_, store_, fetcher_, &cache_, clock_};
};

TEST_F(ObjectSourceTest, ListingIsAsOldAsWhenTheStoreWasAsked) {
  Put("dir/a", 100);
  const auto listing = source_.List("dir", {});
  ASSERT_TRUE(listing);
  clock_.Advance(std::chrono::seconds(20));
  EXPECT_EQ((*listing)->EntryAt(0).ttl, std::chrono::seconds(40));
  EXPECT_EQ((*listing)->ttl(), std::chrono::seconds(40));
  // A lookup decides which layer stands in while the store is away, so nobody may take a name from the listing.
  store_.SetAway(true);
  EXPECT_EQ((*listing)->EntryAt(0).ttl, Duration::zero());
}

TEST_F(ObjectSourceTest, LookupSaysWhereFromAndForHowLong) {
  const std::string bytes = Put("dir/a", 100);
  clock_.Advance(std::chrono::seconds(1));
  auto entry = source_.Lookup("dir/a", {});
  ASSERT_TRUE(entry);
  clock_.Advance(std::chrono::seconds(20));
  entry = source_.Lookup("dir/a", {.may_block = false});
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->source, "s3://b/p/dir/a");
  EXPECT_EQ(entry->attributes.size, 100U);
  EXPECT_TRUE(entry->immutable);
  EXPECT_EQ(entry->ttl, std::chrono::seconds(40));
  EXPECT_FALSE(entry->etag.empty());
  EXPECT_EQ(entry->state, FileState::kFresh);
  EXPECT_EQ(source_.Lookup("dir", {})->attributes.type, FileType::kDirectory);
  EXPECT_EQ(source_.Lookup("none", {}).error().code, ErrorCode::kNotFound);

  const auto listing = source_.List("dir", {});
  ASSERT_TRUE(listing);
  ASSERT_EQ((*listing)->size(), 1U);
  EXPECT_EQ((*listing)->EntryAt(0).version, entry->version);
  EXPECT_EQ((*listing)->EntryAt(0).path, "dir/a");
}

TEST_F(ObjectSourceTest, ReadsAreShortOnlyAtTheEnd) {
  const std::string bytes = Put("a", 3 * kBlock + 5);
  const auto file = Open("a");
  ASSERT_TRUE(file);
  EXPECT_EQ(*Read(*file, 0, 10), bytes.substr(0, 10));
  EXPECT_EQ(*Read(*file, kBlock - 1, 2 * kBlock), bytes.substr(kBlock - 1, 2 * kBlock));
  EXPECT_EQ(*Read(*file, 3 * kBlock, 100), bytes.substr(3 * kBlock));
  EXPECT_EQ(*Read(*file, bytes.size(), 100), "");
  EXPECT_EQ(*Read(*file, 1 << 30, 100), "");
}

TEST_F(ObjectSourceTest, EmptyObjectNeedsNoRequest) {
  Put("empty", 0);
  const auto entry = source_.Lookup("empty", {});
  const int requests = store_.requests();
  const auto file = source_.Open(*entry, {.may_block = false});
  ASSERT_TRUE(file);
  EXPECT_EQ(*Read(**file, 0, 10), "");
  EXPECT_EQ(store_.requests(), requests);
  EXPECT_TRUE(source_.GetCacheShare(*entry).complete);
}

TEST_F(ObjectSourceTest, ColdReadThatMayNotWaitNamesItsLane) {
  Put("a", 10);
  const auto file = Open("a");
  const auto read = Read(*file, 0, 10, {.may_block = false});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kWouldBlock);
  EXPECT_EQ(read.error().lane, 3);
}

TEST_F(ObjectSourceTest, ArchivedObjectIsShownAndNotOpened) {
  Put("cold", 10);
  store_.SetArchived("b", "p/cold", true);
  const auto entry = source_.Lookup("cold", {});
  ASSERT_TRUE(entry);
  EXPECT_FALSE(entry->readable);
  EXPECT_NE(entry->reason.find("GLACIER"), std::string::npos);
  EXPECT_EQ(source_.Open(*entry, {}).error().code, ErrorCode::kArchived);
}

TEST_F(ObjectSourceTest, OverwrittenObjectIsGoneForItsHandleAndNewForTheNextLookup) {
  const std::string old_bytes = Put("a", (2 << 20) + 1, 'a');
  const auto old_entry = source_.Lookup("a", {});
  const auto file = Open("a");
  EXPECT_EQ(*Read(*file, 0, 10), old_bytes.substr(0, 10));
  const std::string new_bytes = Put("a", (2 << 20) + 1, 'b');
  EXPECT_EQ(*Read(*file, 0, 10), old_bytes.substr(0, 10));  // Cached.
  EXPECT_EQ(ReadError(*file, 1 << 20, 10), ErrorCode::kVersionGone);
  const auto fresh = Open("a");  // Within the TTL: the reader told the catalog.
  EXPECT_EQ(*Read(*fresh, 1 << 20, 10), new_bytes.substr(1 << 20, 10));
  EXPECT_EQ(source_.Open(*old_entry, {}).error().code, ErrorCode::kVersionGone);

  store_.Delete("b", "p/a");
  EXPECT_EQ(ReadError(*fresh, 0, 10), ErrorCode::kVersionGone);
  EXPECT_EQ(source_.Lookup("a", {}).error().code, ErrorCode::kNotFound);
}

TEST_F(ObjectSourceTest, StoreAwayAnswersStaleOnlyForWhatIsWhollyCached) {
  const std::string bytes = Put("whole", 2 * kBlock);
  Put("part", 100 * kBlock * 4);
  const auto whole = Open("whole");
  const auto part = Open("part");
  ASSERT_TRUE(ReadIntoCache(*whole));
  ASSERT_TRUE(Read(*part, 0, 10));
  ASSERT_TRUE(source_.List("", {}));
  store_.Fail(ErrorCode::kUnavailable);
  clock_.Advance(std::chrono::hours(2));

  const auto stale = source_.Lookup("whole", {});
  ASSERT_TRUE(stale);
  EXPECT_EQ(stale->state, FileState::kStale);
  EXPECT_LE(stale->ttl, std::chrono::seconds(1));
  EXPECT_FALSE(stale->reason.empty());
  const auto file = source_.Open(*stale, {});
  ASSERT_TRUE(file);
  EXPECT_EQ(*Read(**file, 0, 2 * kBlock), bytes);

  EXPECT_EQ(source_.Lookup("part", {}).error().code, ErrorCode::kUnavailable);
  const auto known = source_.LastKnown("part").value();
  ASSERT_TRUE(known);
  for (int i = 0; i < 4000 && source_.GetCacheShare(*known).bytes == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GT(source_.GetCacheShare(*known).bytes, 0U);
  EXPECT_FALSE(source_.GetCacheShare(*known).complete);
  EXPECT_EQ(ReadError(*part, 100 * kBlock, 10), ErrorCode::kUnavailable);

  const auto listing = source_.List("", {});
  ASSERT_TRUE(listing);
  EXPECT_TRUE((*listing)->terms().degraded);
  EXPECT_EQ((*listing)->size(), 2U);
  EXPECT_EQ(source_.List("never", {}).error().code, ErrorCode::kUnavailable);
}

TEST_F(ObjectSourceTest, WhatCannotBeReadIsAnOutageAtTheLookupAlsoWithinItsTime) {
  Put("file", 2 * kBlock);
  ASSERT_TRUE(source_.Lookup("file", {}));
  store_.SetAway(true);
  EXPECT_EQ(source_.Lookup("file", {}).error().code, ErrorCode::kUnavailable);
  store_.SetAway(false);
  ASSERT_TRUE(ReadIntoCache(*Open("file")));
  store_.SetAway(true);
  const auto stale = source_.Lookup("file", {});
  ASSERT_TRUE(stale);
  EXPECT_EQ(stale->state, FileState::kStale);
}

TEST_F(ObjectSourceTest, CompleteObjectHasABackingFile) {
  Put("a", 2 * kBlock);
  const auto file = Open("a");
  EXPECT_FALSE(file->GetBackingFile());
  ASSERT_TRUE(ReadIntoCache(*file));
  EXPECT_TRUE(file->GetBackingFile());
}

// Random reads against the bytes, while objects are overwritten, deleted and the store fails: a handle gives the bytes
// that it was opened on, or an error.
TEST_F(ObjectSourceTest, NeverAWrongByte) {
  struct Handle {
    std::shared_ptr<OpenFile> file;
    std::string bytes;
  };
  std::mt19937 random(20240607);
  const auto pick = [&](size_t below) { return static_cast<size_t>(random() % below); };
  std::map<std::string, std::string> objects;
  std::vector<Handle> handles;
  size_t right = 0;
  for (int step = 0; step < 3000; ++step) {
    const std::string path = "f" + std::to_string(pick(4));
    const size_t choice = pick(40);
    if (choice == 0 || objects.empty()) {
      objects[path] = Put(path, pick(60 * kBlock), static_cast<char>(step));
      catalog_.Forget(path);
    } else if (choice == 1) {
      store_.FailNext(static_cast<int>(pick(3)), ErrorCode::kUnavailable);
    } else if (choice == 2) {
      cache_.Clear();
    } else if (choice < 6 && objects.contains(path)) {
      if (auto file = Open(path)) handles.push_back({std::move(file), objects[path]});
      if (handles.size() > 6) handles.erase(handles.begin());
    } else if (!handles.empty()) {
      const Handle& handle = handles[pick(handles.size())];
      const size_t offset = pick(handle.bytes.size() + 10);
      const size_t size = 1 + pick(6 * kBlock);
      const auto read = Read(*handle.file, offset, size);
      if (!read) continue;
      ++right;
      ASSERT_EQ(*read, offset < handle.bytes.size() ? handle.bytes.substr(offset, size) : "") << "step " << step;
    }
  }
  EXPECT_GT(right, 500U);
}

TEST_F(ObjectSourceTest, SmallFilesThatComeNextInAListingAreFetchedAhead) {
  std::vector<std::string> names;
  for (int i = 10; i < 60; ++i) names.push_back("d/f" + std::to_string(i) + ".jpg");
  for (const std::string& name : names) Put(name, 1000);
  Put("d/f11.json", 1000);
  ASSERT_TRUE(source_.List("d", {}));
  for (const std::string& name : {names[0], names[1]}) ASSERT_TRUE(Read(*Open(name), 0, 1000));
  for (int i = 0; i < 4000 && metrics_.Get(Metric::kPrefetched) < 16 * 1000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(metrics_.Get(Metric::kPrefetched), 16U * 1000);
  EXPECT_TRUE(Read(*Open(names[7]), 0, 1000, {.may_block = false}));
  EXPECT_EQ(Read(*Open("d/f11.json"), 0, 1000, {.may_block = false}).error().code, ErrorCode::kWouldBlock);
  EXPECT_EQ(store_.heads(), 0);
}

}  // namespace
}  // namespace s3overlay
