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

TEST_F(Session, AFileIsReadInWholeFromTheLanes) {
  std::string bytes(5'000'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 4096);
  source_.AddFile("big", bytes);
  source_.SetAlwaysBlocks(true);
  Mount();
  const UniqueFd fd = Open("big");
  std::string got;
  while (got.size() < bytes.size()) {
    const std::string part = Read(fd.get(), static_cast<off_t>(got.size()), 300'000);
    ASSERT_FALSE(part.empty());
    got += part;
  }
  EXPECT_TRUE(got == bytes);
  EXPECT_EQ(Read(fd.get(), static_cast<off_t>(bytes.size())), "");
}

std::vector<std::string> NamesFrom(DIR* dir, size_t count = SIZE_MAX) {
  std::vector<std::string> names;
  while (names.size() < count) {
    const dirent* const item = ::readdir(dir);
    if (item == nullptr) break;
    names.emplace_back(item->d_name);
  }
  return names;
}

TEST_F(Session, TenThousandNamesAreListedOnceEachAndFromAnyPosition) {
  for (int i = 0; i < 10'000; ++i) source_.AddFile("d/" + std::to_string(i), "x");
  Mount();
  DIR* const dir = ::opendir(At("d").c_str());
  ASSERT_NE(dir, nullptr);
  const std::vector<std::string> first = NamesFrom(dir, 5'000);
  const long position = ::telldir(dir);
  const std::vector<std::string> rest = NamesFrom(dir);
  std::set<std::string> all(first.begin(), first.end());
  all.insert(rest.begin(), rest.end());
  EXPECT_EQ(first.size() + rest.size(), 10'002U);
  EXPECT_EQ(all.size(), 10'002U);
  EXPECT_TRUE(all.contains(".") && all.contains("..") && all.contains("9999"));
  source_.AddFile("d/added", "x");  // An open directory keeps what it saw.
  ::seekdir(dir, position);
  EXPECT_EQ(NamesFrom(dir), rest);
  ::closedir(dir);
}

TEST_F(Session, AttributesTellTheSourceAndListsTellTheFilesOwn) {
  source_.AddFile("f", "bytes", "etag");
  source_.AddFile("live", "bytes", "inode", false);
  source_.SetXattr("live", "user.own", "value");
  Mount();
  const auto get = [&](const char* name, const char* file = "f") {
    std::string value(256, '\0');
    const ssize_t size = ::getxattr(At(file).c_str(), name, value.data(), value.size());
    return size < 0 ? std::string(::strerrorname_np(errno)) : value.substr(0, static_cast<size_t>(size));
  };
  EXPECT_EQ(get("user.s3overlay.source"), "memory:///f");
  EXPECT_EQ(get("user.s3overlay.etag"), "etag");
  EXPECT_EQ(get("user.s3overlay.state"), "fresh");
  EXPECT_EQ(get("user.other"), "ENODATA");
  EXPECT_EQ(get("user.own", "live"), "value");
  EXPECT_EQ(get("user.other", "live"), "ENODATA");
  std::string names(256, '\0');
  const ssize_t size = ::listxattr(At("live").c_str(), names.data(), names.size());
  EXPECT_EQ(names.substr(0, static_cast<size_t>(std::max<ssize_t>(size, 0))), std::string("user.own\0", 9));
}

TEST_F(Session, WithoutAttributesNobodyIsAsked) {
  options_.xattr = false;
  source_.AddFile("f", "bytes");
  Mount();
  char value[16];
  EXPECT_EQ(::getxattr(At("f").c_str(), "user.s3overlay.source", value, sizeof value), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_F(Session, EveryChangeIsRefused) {
  source_.AddFile("f", "bytes");
  source_.AddDirectory("d");
  Mount();
  const std::string file = At("f");
  const std::string absent = At("absent");
  const auto refused = [](int result) { return result == -1 && errno == EROFS; };
  EXPECT_TRUE(refused(::open(file.c_str(), O_WRONLY | O_CLOEXEC)));
  EXPECT_TRUE(refused(::open(file.c_str(), O_RDWR | O_CLOEXEC)));
  EXPECT_TRUE(refused(::open(absent.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
  EXPECT_TRUE(refused(::truncate(file.c_str(), 0)));
  EXPECT_TRUE(refused(::unlink(file.c_str())));
  EXPECT_TRUE(refused(::mkdir(absent.c_str(), 0700)));
  EXPECT_TRUE(refused(::rmdir(At("d").c_str())));
  EXPECT_TRUE(refused(::rename(file.c_str(), absent.c_str())));
  EXPECT_TRUE(refused(::link(file.c_str(), absent.c_str())));
  EXPECT_TRUE(refused(::symlink("f", absent.c_str())));
  EXPECT_TRUE(refused(::chmod(file.c_str(), 0600)));
  EXPECT_TRUE(refused(::setxattr(file.c_str(), "user.a", "b", 1, 0)));
  EXPECT_TRUE(refused(::access(file.c_str(), W_OK)));
}

TEST_F(Session, NamesTooLongAreNotAskedFor) {
  Mount();
  EXPECT_EQ(ReadFile(std::string(256, 'n')), "errno ENAMETOOLONG");
}

TEST_F(Session, ANewVersionIsANewFileAndOldHandlesKeepTheOldOne) {
  source_.SetTtl(Duration::zero());
  source_.AddFile("f", "old bytes", "1");
  Mount();
  const UniqueFd old = Open("f");
  const ino_t before = Stat("f").st_ino;
  source_.AddFile("f", "new", "2");
  EXPECT_EQ(ReadFile("f"), "new");
  EXPECT_NE(Stat("f").st_ino, before);
  EXPECT_EQ(Read(old.get()), "old bytes");
  struct stat status{};
  ASSERT_EQ(::fstat(old.get(), &status), 0);
  EXPECT_EQ(status.st_size, 9);
}

// The kernel holds the old node for a minute; its open is refused and it looks again, which nobody notices.
TEST_F(Session, AnOpenOfAVersionThatIsGoneFindsTheNewOne) {
  source_.AddFile("f", "old", "1");
  Mount();
  EXPECT_EQ(Stat("f").st_size, 3);
  source_.AddFile("f", "newer", "2");
  EXPECT_EQ(ReadFile("f"), "newer");
  EXPECT_EQ(Stat("f").st_size, 5);
}

// By a descriptor no name is looked up again: the kernel comes back with the same node once it was refused.
TEST_F(Session, AVersionThatIsGoneCanBeOpenedAgainAsLongAsItIsOpen) {
  source_.AddFile("f", "old bytes", "1");
  Mount();
  UniqueFd old = Open("f");
  source_.AddFile("f", "new", "2");
  const std::string by_descriptor = "/proc/self/fd/" + std::to_string(old.get());
  const UniqueFd again(::open(by_descriptor.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(again.is_open()) << ::strerrorname_np(errno);
  EXPECT_EQ(Read(again.get()), "old bytes");
  old.Reset();
  EXPECT_EQ(Read(again.get(), 4), "bytes");
}

// The kernel has only the old node to open, and nothing of it is open any more.
TEST_F(Session, ANodeWhoseVersionIsGoneShowsTheCurrentOneWithItsSize) {
  source_.AddFile("f", "old bytes", "1");
  Mount();
  const UniqueFd place(::open(At("f").c_str(), O_PATH | O_CLOEXEC));
  source_.AddFile("f", "the new ones", "2");
  const std::string by_descriptor = "/proc/self/fd/" + std::to_string(place.get());
  const UniqueFd current(::open(by_descriptor.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(current.is_open()) << ::strerrorname_np(errno);
  struct stat status{};
  ASSERT_EQ(::fstat(current.get(), &status), 0);
  EXPECT_EQ(status.st_size, 12);
  EXPECT_EQ(Read(current.get()), "the new ones");
  // What comes next may not join it.
  source_.AddFile("f", "third", "3");
  const UniqueFd next(::open(by_descriptor.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(next.is_open()) << ::strerrorname_np(errno);
  EXPECT_EQ(Read(next.get()), "the new ones");
}

TEST_F(Session, ALiveFileChangesInPlace) {
  source_.SetTtl(Duration::zero());
  source_.AddFile("f", "first", "inode", false);
  Mount();
  EXPECT_EQ(ReadFile("f"), "first");
  source_.SetBytes("f", "second");
  EXPECT_EQ(Stat("f").st_size, 6);
  EXPECT_EQ(ReadFile("f"), "second");
}

// The name means another file by now, and another handle of the old one has been closed: it is still open.
TEST_F(Session, AnOpenLiveFileKeepsItsAttributesWhenItIsReplaced) {
  source_.SetTtl(Duration::zero());
  source_.AddFile("f", "first", "inode", false);
  Mount();
  const UniqueFd kept = Open("f");
  Open("f").Reset();
  source_.AddFile("f", "the second", "another inode", false);
  struct stat status{};
  ASSERT_TRUE(WaitUntil([&] { return StatusNumber("open_handles") == 1; }));
  ASSERT_EQ(::fstat(kept.get(), &status), 0) << ::strerrorname_np(errno);
  EXPECT_EQ(status.st_size, 5);
  EXPECT_EQ(Read(kept.get()), "first");
}

TEST_F(Session, FailuresReachTheProgramAsWhatTheyAre) {
  source_.AddFile("f", "bytes");
  Mount();
  const UniqueFd fd = Open("f");
  source_.FailCall(Call::kRead, ErrorCode::kUnavailable);
  EXPECT_EQ(Read(fd.get()), "errno EIO");
  EXPECT_GE(metrics_.Get(Metric::kReadErrors), 1U);  // The kernel may try a page twice.
  source_.FailCall(Call::kRead, ErrorCode::kVersionGone);
  EXPECT_EQ(Read(fd.get()), "errno ESTALE");
  source_.FailCall(Call::kLookup, ErrorCode::kUnavailable);
  EXPECT_EQ(ReadFile("g"), "errno EIO");
  source_.Heal();
  EXPECT_EQ(Read(fd.get()), "bytes");
}

TEST_F(Session, HungReadsDelayNoOtherCall) {
  source_.AddFile("hung", "bytes");
  source_.AddFile("other", "more bytes");
  Mount();
  source_.CloseGate(Call::kRead, "hung");
  std::vector<std::future<std::string>> hung;
  for (int i = 0; i < 15; ++i) {  // More than the loop has threads.
    hung.push_back(std::async(std::launch::async, [this] {
      const UniqueFd fd = Open("hung", O_RDONLY | O_DIRECT);
      return Read(fd.get());
    }));
  }
  ASSERT_TRUE(source_.WaitUntilBlocked(Call::kRead, 15));
  EXPECT_EQ(ReadFile("other"), "more bytes");
  EXPECT_EQ(ReadFile("absent"), "errno ENOENT");
  source_.OpenGate(Call::kRead);
  for (auto& read : hung) EXPECT_EQ(read.get(), "bytes");
}

TEST_F(Session, WhatTheKernelForgetsIsForgotten) {
  options_.max_nodes = 10;  // The kernel is asked to forget by name: dropping its caches would touch the whole machine.
  for (int i = 0; i < 2'000; ++i) source_.AddFile("d/" + std::to_string(i), "x");
  Mount();
  for (int walk = 0; walk < 2; ++walk) {
    DIR* const dir = ::opendir(At("d").c_str());
    ASSERT_NE(dir, nullptr);
    EXPECT_EQ(NamesFrom(dir).size(), 2'002U);
    ::closedir(dir);
    EXPECT_EQ(Stat("d/7").st_size, 1);
  }
  EXPECT_TRUE(WaitUntil([&] { return StatusNumber("nodes") <= 16; })) << StatusNumber("nodes");
  EXPECT_EQ(ReadFile("d/7"), "x");
}

// True: as kernels before 6.18 need it.
class SessionPruning : public Session, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Session::SetUp();
    options_.max_nodes = 10;
    options_.prune_by_names = GetParam();
  }
};
INSTANTIATE_TEST_SUITE_P(ByNodesAndByNames, SessionPruning, ::testing::Bool());

TEST_P(SessionPruning, DirectoriesAreForgottenTooAndWhatIsMountedInThemStays) {
  for (int i = 0; i < 300; ++i) source_.AddFile(std::to_string(i) + "/deep/f", "x");
  Mount();
  const testing::TempDir other;
  other.Write("inside", "of another file system");
  ASSERT_EQ(::mount(other.path().c_str(), At("7/deep").c_str(), nullptr, MS_BIND, nullptr), 0);
  const UniqueFd open = Open("8/deep/f");
  for (int i = 0; i < 300; ++i) {
    if (i == 7) continue;
    EXPECT_EQ(Stat(std::to_string(i) + "/deep/f").st_size, 1);
  }
  // The root, two above the mount, three on the way to the open file; at most ten are left alone. Of a kernel that is
  // told names, all directories: one of them may be where some process works.
  const uint64_t most = GetParam() ? 2 * 300 + 10 : 10;
  EXPECT_TRUE(WaitUntil([&] { return StatusNumber("nodes") <= most; })) << StatusNumber("nodes");
  EXPECT_EQ(ReadFile("7/deep/inside"), "of another file system");
  EXPECT_EQ(Read(open.get()), "x");
  EXPECT_EQ(ReadFile("9/deep/f"), "x");
  EXPECT_EQ(::umount2(At("7/deep").c_str(), 0), 0);
  EXPECT_EQ(ReadFile("7/deep/f"), "x");
}

TEST_F(Session, TheKernelRemembersAnAbsenceAsLongAsItsSourceSays) {
  Mount();
  Stat("");
  int lookups = source_.count(Call::kLookup);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReadFile("none"), "errno ENOENT");
  EXPECT_EQ(source_.count(Call::kLookup), lookups + 3);
  source_.SetAbsenceTtl(std::chrono::hours(1));
  lookups = source_.count(Call::kLookup);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReadFile("none"), "errno ENOENT");
  EXPECT_EQ(source_.count(Call::kLookup), lookups + 1);
}

TEST_F(Session, HandlesAreReleased) {
  source_.AddFile("f", "bytes");
  Mount();
  {
    const UniqueFd fd = Open("f");
    EXPECT_EQ(StatusNumber("open_handles"), 1U);
  }
  EXPECT_TRUE(WaitUntil([&] { return source_.open_files() == 0 && StatusNumber("open_handles") == 0; }));
}

class SessionPassthrough : public Session {
 protected:
  // False where this kernel or this libfuse has none.
  bool MountWithPassthrough() {
    Mount();
    Stat("");  // The session has started when it answers.
    return session_->passthrough_on();
  }
};

TEST_F(SessionPassthrough, AFileWithABackingFileIsNotReadThroughTheDaemon) {
  source_.AddFile("live", "live bytes", "inode", false);
  source_.SetBackingFile("live");
  if (!MountWithPassthrough()) GTEST_SKIP() << session_->passthrough_reason();
  for (int i = 0; i < 3; ++i) {
    const UniqueFd one = Open("live");
    const UniqueFd two = Open("live");
    EXPECT_EQ(Read(one.get()), "live bytes");
    EXPECT_EQ(Read(two.get(), 5), "bytes");
  }
  EXPECT_EQ(source_.count(Call::kRead), 0);
  EXPECT_EQ(metrics_.Get(Metric::kOpensPassthrough), 6U);
}

TEST_F(SessionPassthrough, AnObjectThatHasBecomeCompleteIsAnotherFileForNewHandles) {
  source_.SetTtl(Duration::zero());
  const std::string bytes((1 << 20) + 5, 'b');
  source_.AddFile("f", bytes);
  if (!MountWithPassthrough()) GTEST_SKIP() << session_->passthrough_reason();
  const UniqueFd before = Open("f");
  EXPECT_EQ(Read(before.get(), 0, 5), "bbbbb");
  source_.SetCachedWhole("f");
  source_.SetBackingFile("f");
  const UniqueFd after = Open("f");
  EXPECT_EQ(Read(after.get(), 1 << 20), "bbbbb");
  EXPECT_EQ(Read(before.get(), 1 << 20), "bbbbb");
  EXPECT_EQ(metrics_.Get(Metric::kOpensPassthrough), 1U);
}

TEST_F(SessionPassthrough, ASmallObjectStaysWithTheDaemon) {
  source_.AddFile("f", "bytes");
  source_.SetCachedWhole("f");
  source_.SetBackingFile("f");
  Mount();
  EXPECT_EQ(ReadFile("f"), "bytes");
  EXPECT_EQ(metrics_.Get(Metric::kOpensPassthrough), 0U);
}

}  // namespace
}  // namespace s3overlay
