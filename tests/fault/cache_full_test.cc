// SPDX-License-Identifier: Apache-2.0
//
// The disk below the cache is full: filled by the cache itself, and by somebody else.
#include <filesystem>

#include "support/disk/small_disk.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

constexpr uint64_t kDiskBytes = 24 * kMiB;
constexpr uint64_t kMinFree = 8 * kMiB;

class CacheFull : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directory(sandbox().dir() / "disk");
    disk_ = SmallDisk::Mount(sandbox().dir() / "image", sandbox().dir() / "disk", kDiskBytes);
    if (disk_ == nullptr) GTEST_SKIP() << "no loop devices here";
  }
  void TearDown() override {
    Unmount();
    disk_.reset();
    MountTest::TearDown();
  }

  std::string CacheDirectory() const { return sandbox_dir() + "/disk/cache"; }
  void MountCache(const std::string& min_free) {
    MountStore({"--cache-dir", CacheDirectory(), "--cache-size", "1G", "--cache-min-free", min_free});
  }
  void PutObjects() {
    for (int i = 0; i < 8; ++i) {
      contents_.push_back(Pattern(3 * kMiB + 5, static_cast<uint64_t>(i) + 1));
      Put("object-" + std::to_string(i), contents_.back());
    }
  }
  void ReadObjects() {
    for (size_t i = 0; i < contents_.size(); ++i) {
      EXPECT_TRUE(Holds(At("object-" + std::to_string(i)), contents_[i])) << i;
    }
  }

  std::unique_ptr<SmallDisk> disk_;

 private:
  std::string sandbox_dir() const { return std::filesystem::path(LocalDirectory()).parent_path(); }
  std::vector<std::string> contents_;
};

TEST_F(CacheFull, ByItself) {
  PutObjects();
  MountCache("0");
  ReadObjects();
  ReadObjects();
  EXPECT_TRUE(Eventually([&] { return disk_->FreeBytes() < 5 * kMiB; })) << "the cache did not fill the disk";
  MountCache("0");
  ReadObjects();
}

TEST_F(CacheFull, ItLeavesOthersTheirShare) {
  PutObjects();
  MountCache(std::to_string(kMinFree));
  ReadObjects();
  EXPECT_GE(disk_->FreeBytes(), kMinFree - kMiB);
  // Somebody takes what was left: the cache gives way.
  disk_->FillUp(kMiB);
  EXPECT_TRUE(Eventually([&] { return disk_->FreeBytes() >= kMinFree - kMiB; })) << disk_->FreeBytes();
  ReadObjects();
  EXPECT_GE(disk_->FreeBytes(), kMinFree - kMiB);
}

TEST_F(CacheFull, BySomebodyElse) {
  PutObjects();
  MountCache("0");
  disk_->FillUp(0);
  ReadObjects();
  // Also where the mount starts on a full disk, with a cache of before and without one.
  MountCache("0");
  ReadObjects();
  Unmount();
  std::filesystem::remove_all(CacheDirectory());
  disk_->FillUp(0);
  MountCache("0");
  ReadObjects();
  disk_->EmptyAgain();
  ReadObjects();
}

}  // namespace
}  // namespace s3overlay::testing
