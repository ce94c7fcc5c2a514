// SPDX-License-Identifier: Apache-2.0
//
// What a change in the store does to names (F) and to what is open, and where ESTALE can reach a program (X).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "fault/fault_fixture.h"

namespace s3overlay::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr double kTtl = 3;

class Freshness : public FaultTest {
 protected:
  // What the mount knows of `name` is three quarters of its life old when the kernel first hears of it, and the change
  // came at the beginning of that life: where the kernel took a whole life for itself, it would be seen too late.
  double SecondsUntilSeen(const std::string& name, const std::function<void()>& change,
                          const std::function<bool()>& is_seen) {
    EXPECT_NE(StatError(At("another-name")), 0);  // Lists the directory.
    change();
    const auto changed_at = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(milliseconds(static_cast<int>(kTtl * 750)));
    StatError(At(name));
    EXPECT_TRUE(Eventually(is_seen));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - changed_at).count();
  }
  void MountFor(double ttl) {
    const std::string text = std::to_string(static_cast<int>(ttl * 1000)) + "ms";
    MountBoth({"--metadata-ttl", text, "--negative-ttl", text});
  }

  // Opens `path`, which leads past all names, several times: the first may fail, no other, and what is read is a
  // version.
  void ExpectAtMostOneEstale(const std::string& path, const std::set<std::string>& versions) {
    EXPECT_THAT(OpenError(path), AnyOf(0, ESTALE)) << path;
    for (int i = 0; i < 5; ++i) {
      const ReadOutcome outcome = ReadWhole(path);
      EXPECT_EQ(outcome.error, 0) << path << ", time " << i;
      EXPECT_TRUE(versions.contains(outcome.bytes)) << path << ": " << outcome.bytes.size() << " bytes of no version";
    }
  }
};

// Of small objects the daemon reads, and of large ones that are wholly cached the kernel (passthrough).
class FreshnessOfSize : public Freshness, public ::testing::WithParamInterface<size_t> {
 protected:
  std::string Version(uint64_t seed) const { return Pattern(GetParam() + seed * 100 * kKiB, seed); }

  // A handle of a version that is wholly cached, read by whomever it is meant to be.
  UniqueFd OpenCached(const std::string& name, const std::string& content) {
    EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At(name), content)); })) << name;
    EXPECT_TRUE(ComesToCache(name));
    const nlohmann::json status = mount().Status();
    const bool by_kernel = GetParam() > kMiB && status.at("fuse").at("passthrough").at("on").get<bool>();
    UniqueFd fd;
    EXPECT_TRUE(Eventually([&] {
      const uint64_t before = PassthroughOpens();
      fd = UniqueFd(::open(At(name).c_str(), O_RDONLY | O_CLOEXEC));
      return fd.is_open() && (PassthroughOpens() > before) == by_kernel;
    })) << name;
    return fd;
  }
  uint64_t PassthroughOpens() const { return mount().Status().at("reads").at("opens").at("passthrough"); }

  // Overwrites until new opens see it; the old version is wholly cached, and more than a second has passed since.
  UniqueFd OpenThenOverwrite(const std::string& first, const std::string& second) {
    Put("a", first);
    MountBoth({"--metadata-ttl", "500ms"});
    UniqueFd fd = OpenCached("a", first);
    Put("a", second);
    EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), second)); }));
    std::this_thread::sleep_for(milliseconds(1200));
    return fd;
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, FreshnessOfSize, ::testing::Values(300 * kKiB, 1300 * kKiB), [](const auto& size) {
  return size.param > kMiB ? std::string("Large") : std::string("Small");
});

TEST_P(FreshnessOfSize, F01_AnOverwriteIsSeenWithinTheTtlInEverythingThatIsOpenedAnew) {
  const std::string first = Version(1);
  const std::string second = Version(2);
  Put("a", first);
  MountFor(kTtl);
  const UniqueFd old = OpenCached("a", first);
  ASSERT_TRUE(SameBytes(ReadAt(old.get(), 0, first.size()), first));
  std::this_thread::sleep_for(milliseconds(static_cast<int>(kTtl * 1000) + 200));
  const double seconds = SecondsUntilSeen(
      "a", [&] { Put("a", second); }, [&] { return StatOf(At("a")).st_size == static_cast<off_t>(second.size()); });
  EXPECT_LT(seconds, Promise(kTtl));
  EXPECT_TRUE(Holds(At("a"), second)) << "content follows the attributes at once, whatever is in the page cache";
  const UniqueFd fresh(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
  void* const mapped = ::mmap(nullptr, second.size(), PROT_READ, MAP_SHARED, fresh.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_TRUE(SameBytes({std::string(static_cast<const char*>(mapped), second.size())}, second));
  ::munmap(mapped, second.size());
  const UniqueFd cached = OpenCached("a", second);
  EXPECT_TRUE(SameBytes(ReadAt(cached.get(), 0, 2 * second.size()), second));
  EXPECT_TRUE(SameBytes(ReadAt(old.get(), 0, 2 * first.size()), first)) << "the old handle keeps its version";
}

TEST_P(FreshnessOfSize, F02_ADeletionIsSeenWithinTheTtl) {
  const std::string object = Version(1);
  Put("a", object);
  MountFor(kTtl);
  const UniqueFd open = OpenCached("a", object);
  std::this_thread::sleep_for(milliseconds(static_cast<int>(kTtl * 1000) + 200));
  EXPECT_LT(SecondsUntilSeen("a", [&] { Delete("a"); }, [&] { return StatError(At("a")) == ENOENT; }), Promise(kTtl));
  EXPECT_TRUE(SameBytes(ReadAt(open.get(), 0, 2 * object.size()), object)) << "the handle goes on from the cache";
}

TEST_F(Freshness, F03_ANewObjectIsSeenWithinTheTtl) {
  Put("other", "x");
  WriteLocal("new", "local");
  MountFor(kTtl);
  EXPECT_LT(SecondsUntilSeen(
                "new", [&] { Put("new", "in S3"); }, [&] { return ReadWhole(At("new")).bytes == "in S3"; }),
            Promise(kTtl));
  EXPECT_EQ(State("new"), "fresh");
}

TEST_P(FreshnessOfSize, F04_AHandleNeverSeesTwoVersions) {
  const size_t size = GetParam();
  Put("a", std::string(size, 'a'));
  MountBoth({"--metadata-ttl", "100ms"});
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (char c = 'b'; c <= 'k'; ++c) {
      Put("a", std::string(size, c));
      std::this_thread::sleep_for(milliseconds(150));
    }
    done = true;
  });
  int whole = 0;
  while (!done) {
    const ReadOutcome outcome = ReadWhole(At("a"));
    EXPECT_THAT(outcome.error, AnyOf(0, ESTALE));
    EXPECT_EQ(std::set<char>(outcome.bytes.begin(), outcome.bytes.end()).size(), outcome.bytes.empty() ? 0U : 1U);
    if (outcome.error == 0) {
      ++whole;
      EXPECT_EQ(outcome.bytes.size(), size);
    }
  }
  writer.join();
  EXPECT_GT(whole, 0);
}

TEST_P(FreshnessOfSize, X01_ReopeningADescriptorFailsOnceAtMost) {
  const std::string first = Version(2);
  const std::string second = Version(1);
  const UniqueFd fd = OpenThenOverwrite(first, second);
  ASSERT_TRUE(fd.is_open());
  ExpectAtMostOneEstale("/proc/self/fd/" + std::to_string(fd.get()), {first, second});
  EXPECT_TRUE(SameBytes(ReadAt(fd.get(), 0, first.size()), first));
}

TEST_P(FreshnessOfSize, X02_ABindMountedFileFailsOnceAtMost) {
  const std::string first = Version(2);
  const std::string second = Version(1);
  Put("a", first);
  MountBoth({"--metadata-ttl", "500ms"});
  const std::string bound = sandbox().dir().Write("bound", "");
  OpenCached("a", first);
  ASSERT_EQ(::mount(At("a").c_str(), bound.c_str(), nullptr, MS_BIND, nullptr), 0);
  Put("a", second);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), second)); }));
  std::this_thread::sleep_for(milliseconds(1200));
  ExpectAtMostOneEstale(bound, {first, second});
  EXPECT_EQ(::umount2(bound.c_str(), 0), 0);
}

TEST_P(FreshnessOfSize, X03_AnOverlayfsAboveFailsUntilItIsMountedAnew) {
  const std::string first = Version(2);
  const std::string second = Version(1);
  Put("a", first);
  MountBoth({"--metadata-ttl", "500ms"});
  // Upper and work directories on a file system of their own: overlayfs takes no overlayfs for them.
  const std::string base = sandbox().dir() / "tmpfs";
  const std::string merged = sandbox().dir() / "merged";
  for (const std::string& directory : {base, merged}) std::filesystem::create_directory(directory);
  ASSERT_EQ(::mount("tmpfs", base.c_str(), "tmpfs", 0, nullptr), 0);
  for (const char* const name : {"/upper", "/work"}) std::filesystem::create_directory(base + name);
  const std::string options =
      "lowerdir=" + MountTest::mount().path() + ",upperdir=" + base + "/upper,workdir=" + base + "/work";
  const auto mount_overlay = [&] {
    EXPECT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0) << options;
  };
  OpenCached("a", first);
  mount_overlay();
  EXPECT_TRUE(Holds(merged + "/a", first));
  Put("a", second);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), second)); }));
  std::this_thread::sleep_for(milliseconds(1200));
  // It keeps the name that it has seen, and takes no other for it.
  const ReadOutcome outcome = ReadWhole(merged + "/a");
  EXPECT_TRUE(outcome.error == ESTALE || outcome.bytes == first || outcome.bytes == second) << outcome.error;
  EXPECT_EQ(::umount2(merged.c_str(), 0), 0);
  mount_overlay();
  EXPECT_TRUE(Holds(merged + "/a", second));
  EXPECT_EQ(::umount2(merged.c_str(), 0), 0);
  EXPECT_EQ(::umount2(base.c_str(), 0), 0);
}

TEST_F(Freshness, X04_ANameThatFlapsIsAlwaysOpened) {
  Put("a", "first");
  MountBoth({"--metadata-ttl", "50ms"});
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      Put("a", i % 2 == 0 ? "second one" : "first");
      std::this_thread::sleep_for(milliseconds(100));
    }
    done = true;
  });
  int opened = 0;
  while (!done) {
    EXPECT_EQ(OpenError(At("a")), 0);
    ++opened;
  }
  writer.join();
  EXPECT_GT(opened, 20);
}

TEST_F(Freshness, X05_TailByNameFollowsToTheNewVersion) {
  Put("log", "first line\n");
  MountBoth({"--metadata-ttl", "200ms"});
  Process tail({"tail", "-F", "-n", "+1", "-s", "0.2", At("log")}, {"PATH=/usr/bin:/bin", "LC_ALL=C"});
  std::this_thread::sleep_for(milliseconds(700));
  Put("log", "another line\n");
  std::this_thread::sleep_for(milliseconds(2500));
  tail.Signal(SIGTERM);
  const ProcessResult result = tail.Wait();
  EXPECT_THAT(result.out, HasSubstr("first line"));
  EXPECT_THAT(result.out, HasSubstr("another line")) << result.err;
}

}  // namespace
}  // namespace s3overlay::testing
