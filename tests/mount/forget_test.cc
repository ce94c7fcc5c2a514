// SPDX-License-Identifier: Apache-2.0
//
// What a large tree leaves behind in the daemon once the kernel lets go of it. Alone, as it drops the kernel's caches.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

class Forget : public MountTest {
 protected:
  static void DropDentries() { std::ofstream("/proc/sys/vm/drop_caches") << "2"; }

  // Everything there is: names, attributes, and a byte of each file.
  int Walk() const {
    int seen = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(At(""))) {
      if (entry.is_regular_file()) std::ifstream(entry.path()).get();
      ++seen;
    }
    return seen;
  }

  // What the daemon has open, without what comes and goes for itself: idle connections, data files of the cache, and
  // the kernel's connection, once for each thread that the load has called for.
  std::multiset<std::string> Descriptors() {
    std::multiset<std::string> open;
    for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(mount().pid()) + "/fd")) {
      std::error_code closed_meanwhile;
      const std::string target = std::filesystem::read_symlink(fd, closed_meanwhile);
      const bool comes_and_goes =
          target.starts_with("socket:") || target.find("/data/") != std::string::npos || target == "/dev/fuse";
      if (!closed_meanwhile && !comes_and_goes) open.insert(target);
    }
    return open;
  }
  uint64_t Nodes() { return mount().Status().at("fuse").at("nodes").get<uint64_t>(); }
  uint64_t OpenHandles() { return mount().Status().at("fuse").at("open_handles").get<uint64_t>(); }
};

TEST_F(Forget, NoNodesAndNoDescriptorsStayAfterTwoWalks) {
  for (int i = 0; i < 200; ++i) Put("s3-" + std::to_string(i % 10) + "/" + std::to_string(i), "object");
  for (int i = 0; i < 2'000; ++i) WriteLocal("local-" + std::to_string(i % 10) + "/" + std::to_string(i), "file");
  MountBoth();
  const int seen = Walk();
  EXPECT_EQ(seen, 20 + 200 + 2'000);
  DropDentries();
  EXPECT_TRUE(Eventually([&] { return OpenHandles() == 0; }));
  const auto descriptors = Descriptors();
  EXPECT_EQ(Walk(), seen);
  EXPECT_TRUE(Eventually([&] {
    DropDentries();
    return Nodes() <= 16;
  })) << Nodes()
      << " nodes";
  EXPECT_TRUE(Eventually([&] { return OpenHandles() == 0 && Descriptors() == descriptors; }))
      << ::testing::PrintToString(Descriptors()) << ", after the first walk " << ::testing::PrintToString(descriptors);
}

}  // namespace
}  // namespace s3overlay::testing
