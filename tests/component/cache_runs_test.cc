// SPDX-License-Identifier: Apache-2.0
//
// What one run leaves in the cache, and what the next one makes of it.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "component/graph_fixture.h"

namespace s3overlay {
namespace {

namespace fs = std::filesystem;
using testing::Eventually;
using testing::kBlock;

class CacheRuns : public testing::GraphTest {
 protected:
  // Of the only object in the cache, while no run has it open.
  void DamageByte(uint64_t offset) {
    for (const auto& file : fs::recursive_directory_iterator(around_.cache / "data")) {
      if (!file.is_regular_file()) continue;
      std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(static_cast<std::streamoff>(offset));
      const char byte = static_cast<char>(stream.get() ^ 1);
      stream.seekp(static_cast<std::streamoff>(offset));
      stream.put(byte);
    }
  }
};

TEST_F(CacheRuns, WhatWasReadOnceIsNotFetchedAgainByTheNextRun) {
  const std::string bytes = Put("dir/a", 20 * kBlock + 5);
  EXPECT_EQ(Content("dir/a"), bytes);
  ASSERT_TRUE(IsWhollyCached("dir/a"));
  const int gets = store().gets();
  EXPECT_GT(gets, 0);
  Restart();
  EXPECT_EQ(Content("dir/a"), bytes);
  EXPECT_EQ(store().gets(), gets);
}

TEST_F(CacheRuns, WhatIsThereOfAnObjectIsNotFetchedWithTheRest) {
  const std::string bytes = Put("a", 1000 * kBlock);
  EXPECT_EQ(Read(*Open("a"), 500 * kBlock, kBlock), bytes.substr(500 * kBlock, kBlock));
  const ObjectId object = store().Head("b", "p/a", {})->id;
  ASSERT_TRUE(Eventually([&] { return graph_->cache().Contains(object, 500); }));
  Restart();
  const size_t before = store().ranges().size();
  EXPECT_EQ(Content("a"), bytes);
  const auto ranges = store().ranges();
  EXPECT_GT(ranges.size(), before);
  for (size_t i = before; i < ranges.size(); ++i) {
    EXPECT_TRUE(Intersect(ranges[i], {500 * kBlock, kBlock}).empty()) << ranges[i].size << " from " << ranges[i].offset;
  }
}

TEST_F(CacheRuns, AnObjectThatWasOverwrittenBetweenThemIsFetchedAnew) {
  const std::string old_bytes = Put("a", 3 * kBlock);
  EXPECT_EQ(Content("a"), old_bytes);
  ASSERT_TRUE(IsWhollyCached("a"));
  Stop();
  const std::string new_bytes = Put("a", 3 * kBlock);
  Start();
  EXPECT_EQ(Content("a"), new_bytes);
}

// Each block of the data file in turn is damaged while nobody looks.
TEST_F(CacheRuns, DamageBetweenThemCostsAFetchAndNoByte) {
  constexpr int kBlocks = 4;
  const std::string bytes = Put("a", kBlocks * kBlock);
  WriteLocal("a", kBlocks * kBlock);
  for (int block = 0; block < kBlocks; ++block) {
    EXPECT_EQ(Content("a"), bytes);
    ASSERT_TRUE(IsWhollyCached("a"));
    const int gets = store().gets();
    Stop();
    DamageByte(static_cast<uint64_t>(block) * kBlock + 17);
    Start();
    EXPECT_EQ(Content("a"), bytes) << "block " << block;
    EXPECT_GT(store().gets(), gets);
    EXPECT_GT(graph_->cache().GetStats().checksum_failures, 0U);
  }
}

TEST_F(CacheRuns, WithItsIndexGoneTheCacheStartsEmptyAndTheBytesAreRight) {
  const std::string bytes = Put("a", 3 * kBlock);
  EXPECT_EQ(Content("a"), bytes);
  ASSERT_TRUE(IsWhollyCached("a"));
  Stop();
  for (const auto& file : fs::directory_iterator(around_.cache.path())) {
    if (file.path().filename().string().starts_with("index.sqlite")) fs::remove(file);
  }
  Start();
  EXPECT_EQ(overlay().GetCacheShare(Find("a")).bytes, 0U);
  EXPECT_EQ(Content("a"), bytes);
}

// Of an object that is no larger than what a reader waits for rather than ask for it beside the others.
TEST_F(CacheRuns, ManyReadersOfAnObjectFetchEachBlockOnce) {
  const std::string bytes = Put("a", 500 * kBlock + 7);
  std::vector<std::shared_ptr<OpenFile>> files;  // All stay open: what is fetched ahead stops with its handle.
  for (int i = 0; i < 6; ++i) files.push_back(Open("a"));
  const auto read_from = [&](OpenFile& file, size_t start) {
    for (size_t done = 0; done < bytes.size(); done += 10 * kBlock) {
      const size_t offset = (start + done) % bytes.size();
      EXPECT_TRUE(Read(file, offset, 10 * kBlock) == bytes.substr(offset, 10 * kBlock)) << offset;
    }
  };
  std::vector<std::thread> readers;
  for (size_t i = 0; i < files.size(); ++i) readers.emplace_back(read_from, std::ref(*files[i]), i % 3 * 170 * kBlock);
  for (std::thread& reader : readers) reader.join();
  auto ranges = store().ranges();
  std::ranges::sort(ranges, {}, &ByteRange::offset);
  uint64_t end = 0;
  for (const ByteRange& range : ranges) {
    EXPECT_EQ(range.offset, end) << "fetched twice, or not at all";
    end = range.end();
  }
  EXPECT_EQ(end, bytes.size());
}

}  // namespace
}  // namespace s3overlay
