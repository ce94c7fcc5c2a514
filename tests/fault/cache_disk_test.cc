// SPDX-License-Identifier: Apache-2.0
//
// The disk below the cache fails, hangs, forgets: reads cost time, and never fail or go wrong.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "support/disk/faulty_disk.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

constexpr size_t kBlock = 128 * kKiB;
constexpr std::chrono::seconds kOpTimeout{10};  // As MountArguments has it.

class CacheDisk : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directory(sandbox().dir() / "disk");
    std::filesystem::create_directory(sandbox().cache());
    disk_ = std::make_unique<FaultyDisk>(sandbox().dir() / "disk", sandbox().cache());
  }

  void TearDown() override {
    if (disk_) disk_->Heal();
    Unmount();
    disk_.reset();
    MountTest::TearDown();
  }

  // Mounts anew: nothing is left in the memory of daemon or kernel, only on the disk. Through the daemon: what the
  // kernel reads by itself fails and hangs with its disk, as local files do.
  void MountAnew() {
    Unmount();
    MountStore({"--no-passthrough"});
  }

  // An object wholly in the cache, and a mount that has read nothing of it.
  void PutIntoCache(const std::string& name, const std::string& bytes) {
    Put(name, bytes);
    MountAnew();
    ASSERT_TRUE(Holds(At(name), bytes));
    ASSERT_TRUE(ComesToCache(name));
    MountAnew();
  }

  uint64_t Gets() { return static_cast<uint64_t>(proxy().Count("GET", "data/")); }

  std::unique_ptr<FaultyDisk> disk_;
};

TEST_F(CacheDisk, CarriesACache) {
  const std::string bytes = Pattern(3 * kMiB + 17);
  PutIntoCache("a", bytes);
  const uint64_t before = Gets();
  EXPECT_TRUE(Holds(At("a"), bytes));
  EXPECT_EQ(Gets(), before) << "it came from the cache";
}

TEST_F(CacheDisk, ErrorsOnReadCostNoRead) {
  const std::string bytes = Pattern(3 * kMiB + 17);
  PutIntoCache("a", bytes);
  disk_->FailReads(EIO);
  EXPECT_TRUE(Holds(At("a"), bytes));
  EXPECT_GT(disk_->faults(), 0U);
  disk_->Heal();
  MountAnew();
  EXPECT_TRUE(Holds(At("a"), bytes));
  EXPECT_TRUE(ComesToCache("a"));
}

TEST_F(CacheDisk, ErrorsOnWriteCostNoRead) {
  const std::string bytes = Pattern(3 * kMiB + 17);
  Put("a", bytes);
  MountAnew();
  for (const int error : {EIO, ENOSPC}) {
    disk_->FailWrites(error);
    EXPECT_TRUE(Holds(At("a"), bytes)) << error;
    EXPECT_TRUE(Eventually([&] { return disk_->faults() > 0; }));
    // The mount starts on such a disk, too.
    MountAnew();
    EXPECT_TRUE(Holds(At("a"), bytes)) << error;
    disk_->Heal();
    MountAnew();
  }
  EXPECT_TRUE(Holds(At("a"), bytes));
  EXPECT_TRUE(ComesToCache("a")) << "and it is used as soon as it works";
}

TEST_F(CacheDisk, WritesThatAreLostAtSyncAreNeverServed) {
  const std::string bytes = Pattern(3 * kMiB + 17);
  Put("a", bytes);
  MountAnew();
  disk_->LoseWritesAtSync(true);
  EXPECT_TRUE(Holds(At("a"), bytes));
  ASSERT_TRUE(Eventually([&] { return disk_->faults() > 0; })) << "no fsync came";
  for (size_t at = 0; at < bytes.size(); at += kBlock) {
    const ReadOutcome part = ReadDirect(At("a"), at, 4 * kKiB);
    EXPECT_TRUE(SameBytes(part, bytes.substr(at, 4 * kKiB))) << "at " << at;
  }
  disk_->Heal();
  MountAnew();
  EXPECT_TRUE(Holds(At("a"), bytes));
}

TEST_F(CacheDisk, ASlowOneHoldsUpNothing) {
  const std::string bytes = Pattern(16 * kMiB);
  Put("a", bytes);
  MountAnew();
  disk_->LimitRate(2 * kMiB);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Holds(At("a"), bytes));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8)) << "the disk alone takes eight";
}

// What a disk of 20 MB/s below the cache leaves of the speed without a cache. One small pair is a figure and no check;
// S3OVERLAY_TEST_SLOW_DISK_PAIRS says how many of 512 MiB, of which the median is one.
TEST_F(CacheDisk, ASlowOneCostsLittleSpeed) {
  const char* const wanted = std::getenv("S3OVERLAY_TEST_SLOW_DISK_PAIRS");
  const std::string bytes = Pattern(wanted == nullptr ? 32 * kMiB : 512 * kMiB);
  Put("a", bytes);
  // Past the proxy, which is no part of the figure.
  const std::vector<std::string> endpoint = {"--endpoint", bucket().server().endpoint, "--layer", S3Layer()};
  const auto read_cold = [&](bool cache, int pair) {
    MountOptions options{.arguments = endpoint, .foreground = false, .cache = cache};
    if (cache) {
      options.arguments.insert(options.arguments.end(),
                               {"--cache-dir", sandbox().cache() + "/" + std::to_string(pair)});
    }
    MountWith(std::move(options));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(Holds(At("a"), bytes));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    Unmount();
    return took.count();
  };
  disk_->LimitRate(20'000'000);
  std::vector<double> ratios;
  for (int pair = 0; pair < (wanted == nullptr ? 1 : std::atoi(wanted)); ++pair) {
    // Each of the two is the first as often.
    double with = pair % 2 == 1 ? read_cold(true, pair) : 0;
    const double without = read_cold(false, pair);
    if (pair % 2 == 0) with = read_cold(true, pair);
    ratios.push_back(without / with);
    std::cout << "without a cache " << without << " s, with one on a slow disk " << with << " s, ratio "
              << ratios.back() << "\n";
  }
  std::sort(ratios.begin(), ratios.end());
  std::cout << "median ratio " << ratios[ratios.size() / 2] << "\n";
  if (wanted == nullptr) return;
  EXPECT_GE(ratios[ratios.size() / 2], 0.95);
}

// One block that was cached and one that was not, while no call to the disk comes back.
TEST_F(CacheDisk, OneThatHangsHoldsAReadNoLongerThanItsTime) {
  const std::string cached = Pattern(3 * kMiB, 1);
  const std::string other = Pattern(3 * kMiB, 2);
  Put("other", other);
  PutIntoCache("cached", cached);
  ASSERT_TRUE(SameBytes(ReadDirect(At("cached"), 0, 4 * kKiB), cached.substr(0, 4 * kKiB)));
  disk_->Hang();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Holds(At("cached"), cached));
  EXPECT_TRUE(Holds(At("other"), other));
  EXPECT_LT(std::chrono::steady_clock::now() - start, kOpTimeout + std::chrono::seconds(2));
  EXPECT_GT(disk_->waiting(), 0U) << "nobody asked the disk";
  disk_->Heal();
  EXPECT_TRUE(Eventually([&] { return disk_->waiting() == 0; }));
  MountAnew();
  EXPECT_TRUE(Holds(At("cached"), cached));
  EXPECT_TRUE(Holds(At("other"), other));
}

// What was last known of a file lies there too: where it cannot be had, nothing says that a local file is the same.
TEST_F(CacheDisk, OneThatHangsInAnOutageIsNoPermission) {
  Put("both", "in S3, and of another size");
  WriteLocal("both", "local");
  MountBoth();
  ASSERT_EQ(StatError(At("both")), 0);
  Unmount();
  MountBoth();
  proxy().SetStore(FaultProxy::Store::kRefused);
  disk_->Hang();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReadWhole(At("both")).error, EIO);
  disk_->Heal();
  proxy().SetStore(FaultProxy::Store::kUp);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("both"), "in S3, and of another size")); }));
}

TEST_F(CacheDisk, OneThatHangsHoldsUpNoEnd) {
  const std::string cached = Pattern(3 * kMiB, 1);
  PutIntoCache("cached", cached);
  Unmount();
  MountWith({.arguments = {"--layer", S3Layer(), "--no-passthrough"}, .foreground = true});
  ASSERT_TRUE(Eventually([&] { return StatError(At("cached")) == 0; }));
  disk_->Hang();
  EXPECT_TRUE(Holds(At("cached"), cached));
  EXPECT_GT(disk_->waiting(), 0U) << "nobody asked the disk";
  const auto start = std::chrono::steady_clock::now();
  mount().foreground().Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return !IsMounted(sandbox().mountpoint()); }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(7));
  disk_->Heal();  // No process ends while the kernel waits for a disk in its name.
  EXPECT_EQ(mount().foreground().Wait().exit_code, 0);
  mount().Forget();
  MountAnew();
  EXPECT_TRUE(Holds(At("cached"), cached));
}

}  // namespace
}  // namespace s3overlay::testing
