// SPDX-License-Identifier: Apache-2.0
//
// kill -9 under load, then the same command again: no damage, and the cache is used again.
// S3OVERLAY_TEST_KILLS says how often (10).
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "fault/reader_load.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

int Kills() {
  const char* const kills = std::getenv("S3OVERLAY_TEST_KILLS");
  return kills != nullptr ? std::atoi(kills) : 10;
}

class Crash : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    for (int i = 0; i < 12; ++i) {
      const std::string name = i == 1 ? kKept : "object-" + std::to_string(i);
      const size_t size = i % 3 == 0 ? 9 * kMiB + 7 : 700 * kKiB;
      files_.push_back({.path = sandbox().mountpoint() + "/" + name, .content = Pattern(size, 50 + files_.size())});
      Put(name, files_.back().content);
    }
  }

  // What the user types: after a crash, over a dead mountpoint, and in the same way as before.
  // All of it fits into the cache: what is fetched again was lost. (Evictions and crashes meet in the random run.)
  void MountAgain() { MountStore({"--cache-size", "100M", "--log-level", "info"}); }

  void KillUnderLoad(std::chrono::milliseconds after) {
    ReaderLoad load(files_, 4, true);
    std::this_thread::sleep_for(after);
    const pid_t pid = mount().pid();
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_TRUE(Eventually([&] { return sandbox().FindDaemons().empty(); }));
    load.Stop();
    mount().Forget();
  }

  // How often it was fetched.
  int GetsOfKept() { return proxy().Count("GET", std::string("/data/") + kKept); }

  // Read before the first crash, and kept in use.
  static constexpr const char* kKept = "kept";
  std::vector<LoadedFile> files_;
};

TEST_F(Crash, ManyTimesUnderLoadDamagesNothing) {
  MountAgain();
  const LoadedFile& kept = files_[1];
  ASSERT_TRUE(Holds(kept.path, kept.content));
  ASSERT_TRUE(ComesToCache(kKept));
  ASSERT_GT(GetsOfKept(), 0) << "they are counted";
  std::this_thread::sleep_for(std::chrono::seconds(1));  // Committed by then.
  std::mt19937_64 random(1);
  uint64_t from_cache = 0;
  const int kills = Kills();
  for (int i = 0; i < kills && !HasFailure(); ++i) {
    SCOPED_TRACE("kill " + std::to_string(i));
    KillUnderLoad(std::chrono::milliseconds(50 + random() % 500));
    MountAgain();
    const int before = GetsOfKept();
    EXPECT_TRUE(Holds(kept.path, kept.content));
    from_cache += GetsOfKept() == before ? 1 : 0;
  }
  EXPECT_GE(from_cache, static_cast<uint64_t>(kills) * 9 / 10) << "the cache was not used again";
  for (const LoadedFile& file : files_) EXPECT_TRUE(Holds(file.path, file.content)) << file.path;
  const ProcessResult verify = sandbox().Run({"cache", "verify", sandbox().mountpoint()});
  EXPECT_EQ(verify.exit_code, 0) << verify.out << verify.err;
  EXPECT_EQ(sandbox().CountLogLines({"starting with an empty"}), 0);
}

}  // namespace
}  // namespace s3overlay::testing
