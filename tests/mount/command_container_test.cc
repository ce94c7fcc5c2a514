// SPDX-License-Identifier: Apache-2.0
//
// Where everything lies on overlayfs, as in a container: passthrough works there too, one file system deeper.
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <filesystem>

#include "mount/command_fixture.h"

namespace s3overlay::testing {
namespace {

// An overlayfs on a tmpfs of its own.
class OverlayFs {
 public:
  explicit OverlayFs(const std::filesystem::path& root) : root_(root) {
    std::filesystem::create_directory(root);
    if (::mount("tmpfs", root.c_str(), "tmpfs", 0, "size=64m") != 0) return;
    for (const char* const name : {"lower", "upper", "work", "merged"}) std::filesystem::create_directory(root / name);
    const std::string options = "lowerdir=" + (root / "lower").string() + ",upperdir=" + (root / "upper").string() +
                                ",workdir=" + (root / "work").string();
    is_mounted_ = ::mount("overlay", path().c_str(), "overlay", 0, options.c_str()) == 0;
  }
  ~OverlayFs() {
    ::umount2(path().c_str(), MNT_DETACH);
    ::umount2(root_.c_str(), MNT_DETACH);
  }
  OverlayFs(const OverlayFs&) = delete;
  OverlayFs& operator=(const OverlayFs&) = delete;

  bool is_mounted() const { return is_mounted_; }
  std::string path() const { return root_ / "merged"; }

 private:
  const std::filesystem::path root_;
  bool is_mounted_ = false;
};

class Container : public Command {
 protected:
  nlohmann::json Passthrough() { return mount().Status().at("fuse").at("passthrough"); }
  uint64_t OpensPassedThrough() { return mount().Status().at("reads").at("opens").at("passthrough"); }

  // Opens were passed through, or cannot be on this machine at all.
  void ExpectPassthrough() {
    const auto state = Passthrough();
    if (state.at("on") == true) {
      EXPECT_GT(OpensPassedThrough(), 0U) << state.dump();
      EXPECT_EQ(state.at("reason"), "");
    }
  }
};

TEST_F(Container, LocalFilesOnOverlayfsPassThrough) {
  const OverlayFs overlay(sandbox().dir() / "container");
  if (!overlay.is_mounted()) GTEST_SKIP() << "no overlayfs can be mounted here";
  const std::string content = Pattern(2 * kMiB);
  sandbox().dir().Write("container/merged/local", content);
  MountWith({S3Layer(), overlay.path()});
  EXPECT_TRUE(Holds(At("local"), content));
  EXPECT_EQ(Passthrough().at("stack_depth"), 1);
  EXPECT_EQ(Passthrough().at("stack_reason"), overlay.path() + " lies on overlayfs");
  ExpectPassthrough();
  Unmount();
}

TEST_F(Container, ACacheOnOverlayfsPassesThrough) {
  const OverlayFs overlay(sandbox().dir() / "container");
  if (!overlay.is_mounted()) GTEST_SKIP() << "no overlayfs can be mounted here";
  const std::string object = Pattern(3 * kMiB);
  Put("object", object);
  MountStore({"--cache-dir", overlay.path() + "/cache"});
  ASSERT_TRUE(Holds(At("object"), object));
  ASSERT_TRUE(Eventually([&] { return mount().Status().at("cache").at("complete_objects") == 1; }));
  Unmount();
  MountStore({"--cache-dir", overlay.path() + "/cache"});
  EXPECT_TRUE(Holds(At("object"), object));
  EXPECT_EQ(Passthrough().at("stack_depth"), 1);
  ExpectPassthrough();
  Unmount();
}

// So that an overlayfs can lie on top of the mount.
TEST_F(Container, ElsewhereTheStackIsNoDeeperThanItHasToBe) {
  struct statfs found{};
  ASSERT_EQ(::statfs(sandbox().dir().path().c_str(), &found), 0);
  if (found.f_type == OVERLAYFS_SUPER_MAGIC) GTEST_SKIP() << "the tests themselves run on overlayfs";
  MountBoth();
  EXPECT_EQ(Passthrough().at("stack_depth"), 0);
  EXPECT_NE(Passthrough().at("stack_reason"), "");
}

}  // namespace
}  // namespace s3overlay::testing
