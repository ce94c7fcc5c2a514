// SPDX-License-Identifier: Apache-2.0
//
// What a large tree leaves behind in the daemon once the kernel lets go of it. Alone, as it drops the kernel's caches.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

constexpr size_t kComeAndGo = 16;

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

  size_t Descriptors() {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(mount().pid()) + "/fd");
    return static_cast<size_t>(std::distance(begin(all), end(all)));
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
  const size_t descriptors = Descriptors();
  EXPECT_EQ(Walk(), seen);
  EXPECT_TRUE(Eventually([&] {
    DropDentries();
    return Nodes() <= 16;
  })) << Nodes()
      << " nodes";
  // Idle connections and data files of the cache come and go; a descriptor a file would be 2,000 more.
  EXPECT_TRUE(Eventually([&] { return OpenHandles() == 0 && Descriptors() <= descriptors + kComeAndGo; }))
      << Descriptors() << " descriptors, after the first walk " << descriptors;
}

}  // namespace
}  // namespace s3overlay::testing
