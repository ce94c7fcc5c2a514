// SPDX-License-Identifier: Apache-2.0
//
// Nothing hangs: how long anything takes while a store says nothing at all. Each limit is one that is promised.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "fault/fault_fixture.h"
#include "support/disk/faulty_disk.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr double kWalkLimit = 10;
constexpr int kManyFiles = 1000;

class NoHang : public FaultTest {
 protected:
  // 1,000 local files in 10 directories, each looked up and read; how many could not be.
  void WriteManyLocalFiles() {
    for (int i = 0; i < kManyFiles; ++i) WriteLocal(NameOf(i), "local");
  }
  int WalkManyFiles() {
    int failed = 0;
    for (int directory = 0; directory < 10; ++directory) {
      const NamesOutcome listed = ListNames(At("d" + std::to_string(directory)));
      failed += listed.names.size() == kManyFiles / 10 ? 0 : 1;
    }
    for (int i = 0; i < kManyFiles; ++i) failed += ReadWhole(At(NameOf(i))).bytes == "local" ? 0 : 1;
    return failed;
  }
  static std::string NameOf(int i) { return "d" + std::to_string(i % 10) + "/f" + std::to_string(i); }

  // Readers that wait for a store that says nothing; each has a file of its own that was opened before.
  void OpenManyObjects(const std::string& directory, int count) {
    for (int i = 0; i < count; ++i) open_.push_back(OpenDirect(At(directory + "/" + std::to_string(i))));
  }
  void ReadAllOpen() {
    for (const UniqueFd& fd : open_) {
      ASSERT_TRUE(fd.is_open());
      readers_.push_back(std::async(std::launch::async, [&fd] { return ReadAt(fd.get(), 0, 4096).error; }));
    }
  }

  // The signal that ends a process which touches the first page of the file; 0 where none does.
  static int SignalOfTouch(int fd) {
    void* const mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(*static_cast<const volatile char*>(mapped) == '\0' ? 0 : 1);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    ::munmap(mapped, 4096);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

  std::vector<UniqueFd> open_;
  std::vector<std::future<int>> readers_;  // After the files: they end first.
};

TEST_F(NoHang, H01_AnOperationEndsWithItsTimeOut) {
  Put("a", Pattern(256 * kKiB));
  Put("dir/b", "b");
  MountStore({"--op-timeout", "4s"});
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  proxy().SetStore(Store::kSilent);
  auto list = std::async(std::launch::async, [&] { return SecondsOf([&] { ListNames(At("dir")); }); });
  auto stat = std::async(std::launch::async, [&] { return SecondsOf([&] { StatError(At("dir/unknown")); }); });
  int error = 0;
  EXPECT_LT(SecondsOf([&] { error = ReadAt(fd.get(), 0, 4096).error; }), Promise(4 + 2));
  EXPECT_THAT(error, AnyOf(EIO, ETIMEDOUT));
  EXPECT_LT(list.get(), Promise(4 + 2));
  EXPECT_LT(stat.get(), Promise(5));
}

TEST_F(NoHang, H01_NorAnyOtherThatAProgramKnows) {
  for (const char* const name : {"mapped", "opened", "asked"}) Put(name, Pattern(256 * kKiB));
  Put("dir/b", "b");
  MountStore({"--op-timeout", "4s"});
  const UniqueFd mapped(::open(At("mapped").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(mapped.is_open());
  for (const char* const name : {"opened", "asked", "dir/b"}) ASSERT_EQ(StatError(At(name)), 0);
  proxy().SetStore(Store::kSilent);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Past what the mount knows.
  std::vector<std::pair<const char*, std::future<double>>> operations;
  const auto start = [&](const char* name, std::function<void()> operation) {
    operations.emplace_back(
        name, std::async(std::launch::async, [operation = std::move(operation)] { return SecondsOf(operation); }));
  };
  start("open", [&] { OpenError(At("opened")); });
  start("a page of a mapping", [&] { EXPECT_EQ(SignalOfTouch(mapped.get()), SIGBUS); });
  start("getxattr", [&] { Provenance(At("asked"), "state"); });
  start("readdir", [&] { ListNames(At("dir")); });
  start("statfs", [&] {
    struct statvfs space{};
    EXPECT_EQ(::statvfs(MountTest::mount().path().c_str(), &space), 0);
  });
  for (auto& [name, seconds] : operations) EXPECT_LT(seconds.get(), Promise(4 + 2)) << name;
}

// The kernel asks again for a page that it did not get, twice for one of a mapping.
TEST_F(NoHang, H01_NorAReadThroughThePageCacheOfAStoreThatAnswersAllElse) {
  for (const char* const name : {"read", "mapped"}) Put(name, Pattern(256 * kKiB));
  MountStore({"--op-timeout", "5s"});
  const UniqueFd read(::open(At("read").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd mapped(::open(At("mapped").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(read.is_open() && mapped.is_open());
  proxy().AddRule({.operation = "GET", .fault = {.stall_after = 0}});
  auto touch = std::async(std::launch::async,
                          [&] { return SecondsOf([&] { EXPECT_EQ(SignalOfTouch(mapped.get()), SIGBUS); }); });
  int error = 0;
  EXPECT_LT(SecondsOf([&] { error = ReadAt(read.get(), 0, 4096).error; }), Promise(5 + 2));
  EXPECT_THAT(error, AnyOf(EIO, ETIMEDOUT));
  EXPECT_LT(touch.get(), Promise(5 + 2)) << "a page of a mapping";
}

TEST_F(NoHang, H02_AWalkOfLocalFilesThatMeetsSilence) {
  WriteManyLocalFiles();
  Put("d0/in-S3", "x");
  MountBoth({"--op-timeout", "30s"});
  ASSERT_EQ(ReadWhole(At(NameOf(0))).bytes, "local");
  proxy().SetStore(Store::kSilent);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Past what the mount knows.
  int failed = 0;
  const double seconds = SecondsOf([&] { failed = WalkManyFiles(); });
  EXPECT_EQ(failed, 1) << "all but the directory that S3 had a name of";
  EXPECT_LT(seconds, Promise(kWalkLimit));
  RecordProperty("seconds", std::to_string(seconds));
}

TEST_F(NoHang, H03_AMountThatStartsInSilenceAndIsWalked) {
  WriteManyLocalFiles();
  proxy().SetStore(Store::kSilent);
  EXPECT_LT(SecondsOf([&] { MountBoth({"--op-timeout", "30s"}); }), Promise(6));
  int failed = 0;
  EXPECT_LT(SecondsOf([&] { failed = WalkManyFiles(); }), Promise(kWalkLimit));
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(State(NameOf(0)), "degraded");
}

TEST_F(NoHang, H04_WithTheBreakerOpenAStandInAnswersAtOnce) {
  Put("both", "in S3");
  WriteLocal("both", "local");
  WriteLocal("dir/only", "local only");
  proxy().SetStore(Store::kSilent);
  MountBoth({"--op-timeout", "30s"});
  ASSERT_TRUE(ComesToBreaker("open") || BreakerState() == "half-open");
  for (const char* const name : {"both", "dir/only"}) {
    EXPECT_LT(SecondsOf([&] { EXPECT_EQ(ReadWhole(At(name)).error, 0); }), Promise(2)) << name;
  }
  EXPECT_LT(SecondsOf([&] { EXPECT_EQ(ListNames(At("dir")).error, 0); }), Promise(2));
}

TEST_F(NoHang, H05_PacketsThatVanishAreSilenceToo) {
  WriteManyLocalFiles();
  Put("a", Pattern(256 * kKiB));
  const NetNamespace network;
  FaultProxy inside(bucket().server().port(), &network);
  sandbox().SetEnvironment("AWS_ENDPOINT_URL", inside.url());
  {
    const NetNamespace::Visit visit(network);
    MountBoth({"--op-timeout", "4s"});
  }
  UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  network.Drop(inside.port());
  auto read = std::async(std::launch::async, [&] { return SecondsOf([&] { ReadAt(fd.get(), 0, 4096); }); });
  int failed = 0;
  EXPECT_LT(SecondsOf([&] { failed = WalkManyFiles(); }), Promise(kWalkLimit));
  EXPECT_EQ(failed, 0);
  EXPECT_LT(read.get(), Promise(4 + 2));
  fd.Reset();
  network.LetPass();
  EXPECT_TRUE(Eventually([&] { return State(NameOf(1)) == "fallback"; })) << "it comes back by itself";
}

TEST_F(NoHang, H06_ASignalEndsTheDaemonWhateverWaits) {
  for (int i = 0; i < 40; ++i) Put("o/" + std::to_string(i), Pattern(8 * kKiB));
  MountOptions options{.arguments = {"--layer", S3Layer(), "--layer", LocalDirectory(), "--op-timeout", "30s"},
                       .foreground = true};
  MountWith(options);
  ASSERT_TRUE(Eventually([&] { return StatError(At("o/0")) == 0; }));
  proxy().AddRule({.operation = "GET", .target_part = "/o/", .fault = {.stall_after = 0}});
  OpenManyObjects("o", 40);
  proxy().SetStore(Store::kSilent);
  ReadAllOpen();
  auto lookup = std::async(std::launch::async, [&] { return StatError(At("unknown/name")); });
  ASSERT_TRUE(Eventually([&] { return proxy().Count("GET") > 0; }));
  const double seconds = SecondsOf([&] {
    MountTest::mount().foreground().Signal(SIGTERM);
    EXPECT_EQ(MountTest::mount().foreground().Wait().exit_code, 0);
  });
  EXPECT_LT(seconds, Promise(5));
  MountTest::mount().Forget();
  EXPECT_FALSE(IsMounted(sandbox().mountpoint()));
  for (auto& reader : readers_) EXPECT_NE(reader.get(), 0);
  EXPECT_NE(lookup.get(), 0);
}

TEST_F(NoHang, H07_ReadsThatHangOnOneStoreDelayNoOther) {
  constexpr int kHung = 64;
  for (int i = 0; i < kHung; ++i) bucket().Put("one/" + std::to_string(i), Pattern(8 * kKiB));
  const std::string object = Pattern(4 * kMiB);
  for (const char* const name : {"two/a", "two/b"}) bucket().Put(name, object);
  WriteLocal("file", "local");
  FaultProxy other(bucket().server().port());
  const auto config = sandbox().dir().Write(
      "two.toml", "[[layer]]\nspec = \"one=s3://" + bucket().name() + "/one\"\nendpoint = \"" + proxy().url() +
                      "\"\n[[layer]]\nspec = \"two=s3://" + bucket().name() + "/two\"\nendpoint = \"" + other.url() +
                      "\"\n[[layer]]\nspec = \"here=" + LocalDirectory() + "\"\n");
  MountOptions options;
  options.arguments = {"--config", config, "--op-timeout", "10s"};
  MountWith(options);
  ASSERT_EQ(ReadWhole(At("two/b")).error, 0);
  proxy().AddRule({.operation = "GET", .target_part = "/one/", .fault = {.stall_after = 0}});
  OpenManyObjects("one", kHung);
  ReadAllOpen();
  ASSERT_TRUE(Eventually([&] { return proxy().stalled() >= 8; }));
  EXPECT_LT(SecondsOf([&] { EXPECT_TRUE(Holds(At("two/a"), object)); }), Promise(3)) << "another store";
  EXPECT_LT(SecondsOf([&] { EXPECT_TRUE(Holds(At("here/file"), "local")); }), Promise(1)) << "a local layer";
  proxy().ClearRules();
  proxy().Release();
  for (auto& reader : readers_) reader.wait();
  open_.clear();
  Unmount();
}

TEST_F(NoHang, H08_UmountWorksOrSaysWhoHoldsIt) {
  Put("a", Pattern(256 * kKiB));
  MountBoth({"--op-timeout", "20s"});
  {
    const UniqueFd fd = OpenDirect(At("a"));
    ASSERT_TRUE(fd.is_open());
    proxy().SetStore(Store::kSilent);
    auto reader = std::async(std::launch::async, [&] { return ReadAt(fd.get(), 0, 4096).error; });
    ASSERT_TRUE(Eventually([&] { return proxy().Count("GET") > 0; }));
    ProcessResult refused;
    EXPECT_LT(SecondsOf([&] { refused = sandbox().Run({"umount", MountTest::mount().path()}); }), Promise(10));
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_THAT(refused.err, HasSubstr(std::to_string(::getpid())));
    proxy().Release();
    proxy().SetStore(Store::kUp);
    EXPECT_EQ(reader.get(), 0);
    proxy().SetStore(Store::kSilent);
  }
  EXPECT_LT(SecondsOf([&] { MountTest::mount().Unmount(); }), Promise(10));
}

TEST_F(NoHang, H09_BytesThatTrickleAreNoAnswerToAWalk) {
  WriteManyLocalFiles();
  Put("a", Pattern(256 * kKiB));
  MountBoth({"--op-timeout", "30s"});
  ASSERT_EQ(ReadWhole(At(NameOf(0))).bytes, "local");
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  proxy().AddRule({.operation = "GET", .fault = {.bytes_per_second = 5}});
  for (const char* const asked : {"LIST", "HEAD"}) {
    proxy().AddRule({.operation = asked, .fault = {.delay = std::chrono::hours(1)}});
  }
  auto read = std::async(std::launch::async, [&] { return ReadAt(fd.get(), 0, 4096).error; });
  ASSERT_TRUE(Eventually([&] { return proxy().Count("GET") > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Past what the mount knows.
  const int asked_before = proxy().Count("");
  int failed = 0;
  const double seconds = SecondsOf([&] { failed = WalkManyFiles(); });
  EXPECT_NE(BreakerState(), "closed");
  EXPECT_EQ(failed, 0);
  EXPECT_LT(seconds, Promise(kWalkLimit));
  EXPECT_GT(proxy().Count(""), asked_before) << "nobody had to ask";
  EXPECT_THAT(read.get(), AnyOf(EIO, ETIMEDOUT));
}

// As one of a network file system whose server has gone.
TEST_F(NoHang, H10_ALocalLayerThatHangsHoldsUpNoEnd) {
  Put("a", "in S3");
  const std::string directory = sandbox().dir() / "served";
  const std::string layer = sandbox().dir() / "hangs";
  for (const std::string& each : {directory, layer}) std::filesystem::create_directory(each);
  sandbox().dir().Write("served/local", "local");
  FaultyDisk disk(directory, layer);
  MountWith({.arguments = {"--layer", S3Layer(), "--layer", layer}, .foreground = true});
  ASSERT_TRUE(Eventually([&] { return StatError(At("local")) == 0; }));
  disk.Hang();
  auto lookup = std::async(std::launch::async, [&] { return StatError(At("unknown")); });
  ASSERT_TRUE(Eventually([&] { return disk.waiting() > 0; }));
  EXPECT_TRUE(Holds(At("a"), "in S3")) << "what has nothing to do with it";
  const double seconds = SecondsOf([&] {
    MountTest::mount().foreground().Signal(SIGTERM);
    EXPECT_TRUE(Eventually([&] { return !IsMounted(sandbox().mountpoint()); }));
  });
  EXPECT_LT(seconds, Promise(5));
  EXPECT_EQ(lookup.wait_for(std::chrono::seconds(10)), std::future_status::ready) << "whoever waits is told";
  disk.Heal();  // No process ends while the kernel waits for a disk in its name.
  EXPECT_NE(lookup.get(), 0);
  EXPECT_EQ(MountTest::mount().foreground().Wait().exit_code, 0);
  MountTest::mount().Forget();
}

}  // namespace
}  // namespace s3overlay::testing
