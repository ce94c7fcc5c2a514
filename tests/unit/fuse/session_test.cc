// SPDX-License-Identifier: Apache-2.0
//
// What programs see of a mount.
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <set>

#include "unit/fuse/session_fixture.h"

namespace s3overlay {
namespace {

using Session = testing::SessionFixture;

TEST_F(Session, AFileIsReadWithItsAttributes) {
  source_.AddFile("a/b", "some bytes");
  source_.AddSymlink("link", "a/b");
  Mount();
  EXPECT_EQ(ReadFile("a/b"), "some bytes");
  EXPECT_EQ(ReadFile("link"), "some bytes");
  EXPECT_EQ(ReadFile("absent"), "errno ENOENT");
  const struct stat status = Stat("a/b");
  EXPECT_EQ(status.st_size, 10);
  EXPECT_EQ(status.st_mode, S_IFREG | 0444U);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(Stat("a").st_mode, S_IFDIR | 0555U);
}

}  // namespace
}  // namespace s3overlay
