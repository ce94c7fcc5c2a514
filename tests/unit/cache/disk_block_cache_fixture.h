// SPDX-License-Identifier: Apache-2.0
//
// A block cache in a directory of the test's own, that can be closed, damaged and opened again.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "cache/disk_block_cache.h"
#include "support/fake_clock.h"
#include "support/object_bytes.h"
#include "support/temp_dir.h"

namespace s3overlay {

namespace fs = std::filesystem;
using testing::BytesOf;
using testing::MakeBlock;
using testing::MakeObject;

class DiskBlockCacheFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kBlock = 4096;

  void SetUp() override { Open(); }

  Result<std::unique_ptr<DiskBlockCache>> TryOpen() { return DiskBlockCache::Open(options_, clock_, metrics_); }
  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().message;
    cache_ = std::move(*opened);
  }
  void Close() { cache_ = nullptr; }
  void Reopen() {
    Close();
    Open();
  }

  void Put(const ObjectId& object, uint64_t index) { cache_->Put(object, index, MakeBlock(object, index, kBlock)); }
  void PutAll(const ObjectId& object) {
    for (uint64_t i = 0; i < BlockCount(object.size, kBlock); ++i) Put(object, i);
    cache_->Flush();
  }

  // Whether the block is there; a wrong byte is a failure.
  bool Has(const ObjectId& object, uint64_t index) {
    std::vector<std::byte> out(BlockRange(index, kBlock, object.size).size);
    const bool hit = cache_->Get(object, index, 0, out);
    EXPECT_TRUE(!hit || std::ranges::equal(out, MakeBlock(object, index, kBlock).bytes))
        << object.key << " block " << index;
    return hit;
  }

  std::vector<fs::path> DataFiles() const {
    std::vector<fs::path> files;
    if (!fs::exists(dir_ / "data")) return files;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / "data")) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    return files;
  }

  uint64_t DiskUsage() const {
    uint64_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
      struct stat attributes{};
      if (::lstat(entry.path().c_str(), &attributes) == 0 && S_ISREG(attributes.st_mode)) {
        bytes += static_cast<uint64_t>(attributes.st_blocks) * 512;
      }
    }
    return bytes;
  }

  static void FlipByte(const fs::path& file, uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
  }

  const testing::TempDir dir_;
  testing::FakeClock clock_;
  Metrics metrics_;
  DiskBlockCacheOptions options_{
      .dir = dir_.path(), .size_limit = 64 << 20, .block_size = kBlock, .owner = "/mnt/data", .complete_from = 0};
  std::unique_ptr<DiskBlockCache> cache_;
};

}  // namespace s3overlay
