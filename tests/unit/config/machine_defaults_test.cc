// SPDX-License-Identifier: Apache-2.0
#include "config/machine_defaults.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using testing::TempDir;

constexpr uint64_t kMiB = 1 << 20;

TEST(MachineDefaults, MemoryIsAQuarterOfTheMachineUpToALimit) {
  const TempDir root;
  root.Write("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:  10 kB\n");
  EXPECT_EQ(DefaultMemoryLimit(root.path()), 256 * kMiB);
  root.Write("proc/meminfo", "MemTotal:       67108864 kB\n");
  EXPECT_EQ(DefaultMemoryLimit(root.path()), 512 * kMiB);
}

TEST(MachineDefaults, MemoryIsAQuarterOfTheControlGroup) {
  const TempDir root;
  root.Write("proc/meminfo", "MemTotal:       67108864 kB\n");
  root.Write("proc/self/cgroup", "0::/system.slice/x.service\n");
  root.Write("sys/fs/cgroup/system.slice/x.service/memory.max", "max\n");
  EXPECT_EQ(DefaultMemoryLimit(root.path()), 512 * kMiB);
  root.Write("sys/fs/cgroup/system.slice/x.service/memory.max", std::to_string(400 * kMiB) + "\n");
  EXPECT_EQ(DefaultMemoryLimit(root.path()), 100 * kMiB);
}

TEST(MachineDefaults, ACacheOfTheMountpointsOwn) {
  const std::string of_root = DefaultCacheDir("/data/a", {{"HOME", "/root"}}, 0);
  EXPECT_TRUE(of_root.starts_with("/var/cache/s3overlay/")) << of_root;
  EXPECT_NE(of_root, DefaultCacheDir("/data/b", {{"HOME", "/root"}}, 0));
  EXPECT_TRUE(DefaultCacheDir("/data/a", {{"HOME", "/home/u"}}, 1000).starts_with("/home/u/.cache/s3overlay/"));
  EXPECT_EQ(DefaultCacheDir("/data/a", {{"CACHE_DIRECTORY", "/var/cache/unit"}}, 0), "/var/cache/unit");
}

TEST(MachineDefaults, ACacheSizeBeforeTheDirectoryIsThere) {
  const TempDir dir;
  EXPECT_GT(DefaultCacheSize(dir / "not/yet/there"), 0U);
  EXPECT_LE(DefaultCacheSize(dir / "not/yet/there"), uint64_t{100} << 30);
  EXPECT_GT(FileSystemSize(dir / "not/yet/there"), 0U);
}

}  // namespace
}  // namespace s3overlay
