// SPDX-License-Identifier: Apache-2.0
//
// A cache starts from whatever lies in its directory. The first byte of an input says how the index is made: by the
// input's own bytes, or by rows that are its numbers, some of which have a data file that fits.
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "cache/block_map.h"
#include "cache/cache_directory.h"
#include "cache/cache_index.h"
#include "cache/data_file.h"
#include "cache/disk_block_cache.h"
#include "cache/disk_metadata_store.h"
#include "fuzz/targets.h"
#include "support/temp_dir.h"

namespace s3overlay::fuzz {
namespace {

constexpr uint64_t kBlock = 4096;

ObjectId ObjectAt(uint8_t number) {
  return {.store = "s",
          .bucket = "b",
          .key = "k" + std::to_string(number),
          .etag = "e",
          .size = 3 * kBlock,
          .version_id = {}};
}

// A name that no honest row would have, or one whose data file is there.
ObjectRow ReadRow(InputReader& reader, const std::string& dir) {
  ObjectRow row;
  row.serial = static_cast<int64_t>(reader.Number());
  row.extension = std::string(reader.Text());
  row.etag = std::string(reader.Text());
  row.file = {.id = reader.Number(), .inode = reader.Number(), .size = reader.Number()};
  row.allocated = reader.Number();
  row.last_use_s = static_cast<int64_t>(reader.Number());
  const uint8_t flags = reader.Byte();
  row.complete = (flags & 1) != 0;
  row.lent = (flags & 2) != 0;
  row.name = NameOf(ObjectAt(flags >> 4));
  if ((flags & 4) == 0) return row;
  row.serial = 1 + (flags >> 4);
  row.extension.clear();
  auto file = DataFile::Create(DataPath(dir, row.name, ""), 3 * kBlock);
  if (file) row.file = (*file)->identity();
  return row;
}

void WriteRows(InputReader& reader, const std::string& dir) {
  auto index = CacheIndex::Open(CacheDirectory::IndexPath(dir), kBlock, 1 << 20);
  if (!index) return;
  while (!reader.empty()) {
    const uint8_t kind = reader.Byte();
    if (kind % 2 == 0) {
      const ObjectRow row = ReadRow(reader, dir);
      (void)(*index)->InsertObject(row, ObjectAt(0));
    } else {
      ExtentRow row{.serial = kind >> 4, .extent = reader.Number(kind & 2 ? 1 : 8), .blob = {}};
      const std::string_view blob = reader.Text();
      row.blob = std::as_bytes(std::span(blob));
      (void)(*index)->PutExtent(row);
    }
  }
  (void)(*index)->FinishCleanly();
}

void ReadBack(const std::string& dir) {
  const SystemClock clock;
  Metrics metrics;
  DiskBlockCacheOptions options;
  options.dir = dir;
  options.size_limit = 1 << 20;
  options.block_size = kBlock;
  options.owner = "fuzz";
  (void)DiskBlockCache::FindBlockSize(dir);
  auto cache = DiskBlockCache::Open(std::move(options), clock, metrics);
  if (!cache) return;
  // Nothing that such an index says of these blocks is true: none may be served.
  std::array<std::byte, kBlock> block{};
  for (uint8_t object = 0; object < 16; ++object) {
    for (uint64_t i = 0; i < 3; ++i) S3OVERLAY_FUZZ_CHECK(!(*cache)->Get(ObjectAt(object), i, 0, block));
  }
  (void)(*cache)->GetStats();
}

void CheckBlockMap(InputReader& reader) {
  const uint64_t size = reader.Number();
  const uint64_t block = kBlock << (reader.Byte() % 12);
  const uint64_t extent = reader.Number(1);
  BlockMap map(size, block);
  const std::string_view blob = reader.rest();
  if (!map.DecodeExtent(extent, std::as_bytes(std::span(blob)))) return;
  S3OVERLAY_FUZZ_CHECK(map.present_count() <= map.block_count() && map.present_bytes() <= size);
  BlockMap again(size, block);
  const auto encoded = map.EncodeExtent(extent);
  S3OVERLAY_FUZZ_CHECK(encoded.empty() || again.DecodeExtent(extent, encoded));
  S3OVERLAY_FUZZ_CHECK(again.EncodeExtent(extent) == encoded);
}

}  // namespace

void FuzzIndex(std::string_view input) {
  InputReader reader(input);
  const uint8_t kind = reader.Byte() % 4;
  if (kind == 0) return CheckBlockMap(reader);
  const testing::TempDir temp;
  const std::string dir = temp.path();
  for (const char* name : {"", "/data", "/data/dying"}) std::filesystem::create_directory(dir + name);
  for (uint8_t object = 0; object < 16; ++object) {
    const std::string path = DataPath(dir, NameOf(ObjectAt(object)), "");
    std::filesystem::create_directory(std::filesystem::path(path).parent_path());
  }
  if (kind == 1) {
    WriteRows(reader, dir);
  } else {
    std::ofstream(CacheDirectory::IndexPath(dir), std::ios::binary) << reader.rest();
    if (kind == 3) std::ofstream(dir + "/metadata.sqlite", std::ios::binary) << reader.rest();
  }
  ReadBack(dir);
  if (kind != 3) return;
  const SystemClock clock;
  auto metadata = DiskMetadataStore::Open({.dir = dir}, clock);
  if (!metadata) return;
  (void)(*metadata)->RecallEntry("scope", "a/b");
  (void)(*metadata)->RecallListing("scope", "a");
}

}  // namespace s3overlay::fuzz
