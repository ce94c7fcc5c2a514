// SPDX-License-Identifier: Apache-2.0
#include "cache/block_map.h"

#include <gtest/gtest.h>

#include "cache/object_name.h"

namespace s3overlay {
namespace {

constexpr uint64_t kBlock = 128 << 10;  // 64 blocks an extent.

TEST(BlockMap, AnExtentSurvivesItsEncoding) {
  BlockMap map(100 * kBlock - 1, kBlock);
  map.Set(64, 0x0123456789abcdef);
  map.Set(99, 7);
  BlockMap copy(100 * kBlock - 1, kBlock);
  ASSERT_TRUE(copy.DecodeExtent(1, map.EncodeExtent(1)));
  EXPECT_EQ(copy.PresentIn(0, 100), (std::vector<uint64_t>{64, 99}));
  EXPECT_EQ(copy.Find(64)->checksum, 0x0123456789abcdefU);
  EXPECT_FALSE(copy.IsChecked(*copy.Find(64))) << "an earlier run is not believed";
  EXPECT_EQ(copy.present_bytes(), 2 * kBlock - 1);
  EXPECT_TRUE(map.EncodeExtent(0).empty());
}

TEST(BlockMap, RefusesExtentsThatDoNotFit) {
  BlockMap map(100 * kBlock, kBlock);
  const std::vector<std::byte> whole(8 + 64 * 8, std::byte{0xff});
  const std::vector<std::byte> last(5 + 36 * 8, std::byte{0xff});
  EXPECT_FALSE(map.DecodeExtent(1, whole));
  EXPECT_FALSE(map.DecodeExtent(2, whole));
  EXPECT_FALSE(map.DecodeExtent(UINT64_MAX, whole));
  EXPECT_FALSE(map.DecodeExtent(0, {}));
  EXPECT_EQ(map.present_count(), 0U);
  EXPECT_TRUE(map.DecodeExtent(1, last));
  EXPECT_FALSE(map.DecodeExtent(1, last)) << "twice";
  EXPECT_TRUE(map.DecodeExtent(0, whole));
  EXPECT_TRUE(map.is_full());
}

TEST(BlockMap, APinOutlivesItsBlock) {
  BlockMap map(10 * kBlock, kBlock);
  map.Set(3, 1);
  map.Pin(3);
  map.Drop(3);
  EXPECT_EQ(map.Find(3), nullptr);
  EXPECT_TRUE(map.IsPinned(0, 10));
  map.Unpin(3);
  EXPECT_FALSE(map.IsPinned(0, 10));
}

TEST(ObjectName, KeepsOnlyPlainExtensions) {
  EXPECT_EQ(ExtensionOf("a.b/c.jsonl"), "jsonl");
  EXPECT_EQ(ExtensionOf("a.b/c"), "");
  EXPECT_EQ(ExtensionOf("c./../x"), "");
  EXPECT_EQ(ExtensionOf("c.j\n"), "");
  EXPECT_EQ(ExtensionOf("c.abcdefghijklmnopq"), "");
}

TEST(ObjectName, FieldsDoNotRunIntoEachOther) {
  const ObjectId one{.store = "s", .bucket = "b", .key = "k\ne", .etag = "f", .version_id = {}};
  const ObjectId other{.store = "s", .bucket = "b", .key = "k", .etag = "e\nf", .version_id = {}};
  EXPECT_NE(NameOf(one), NameOf(other));
  EXPECT_EQ(ParseObjectName(ToHex(NameOf(one))), NameOf(one));
}

}  // namespace
}  // namespace s3overlay
