// SPDX-License-Identifier: Apache-2.0
#include "fuse/mounts_within.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

using Paths = std::set<std::string>;

TEST(MountsWithin, NamesWhatLiesOnTheFileSystemHoweverItIsReached) {
  constexpr std::string_view kMounts =
      "20 1 8:1 / / rw - ext4 /dev/a rw\n"
      "30 20 0:50 / /data ro - fuse.s3overlay s3://b ro\n"
      "31 30 8:1 /srv /data/dir/on\\040top rw - ext4 /dev/a rw\n"
      "32 31 0:9 / /data/dir/on\\040top/further rw - tmpfs t rw\n"
      "40 20 0:50 /dir /elsewhere ro - fuse.s3overlay s3://b ro\n"
      "41 40 0:9 / /elsewhere/x/y rw - tmpfs t rw\n"
      "no mount at all\n"
      "50 20 0:51 / /other ro - fuse.s3overlay s3://c ro\n"
      "51 50 0:9 / /other/z rw - tmpfs t rw\n";
  EXPECT_EQ(ParseMountsWithin(kMounts, "0:50"), (Paths{"dir/on top", "dir/x/y"}));
  EXPECT_EQ(ParseMountsWithin(kMounts, "0:51"), Paths{"z"});
  EXPECT_EQ(ParseMountsWithin("", "0:50"), Paths{});
}

TEST(MountsWithin, ThisMachineIsRead) { EXPECT_EQ(MountsWithin("9999:9999"), Paths{}); }

}  // namespace
}  // namespace s3overlay
