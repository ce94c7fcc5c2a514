// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md, "What a program sees": a test for each line.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "fault/fault_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;

class Errno : public FaultTest {
 protected:
  // 0, or the errno of a call that answers -1 where it fails.
  static int Of(long result) { return result == -1 ? errno : 0; }
};

TEST_F(Errno, E01_Enoent) {
  MountBoth();
  EXPECT_EQ(OpenError(At("nowhere")), ENOENT);
}

TEST_F(Errno, E02_Enotdir) {
  Put("file", "x");
  MountBoth();
  EXPECT_EQ(OpenError(At("file/below")), ENOTDIR);
  EXPECT_EQ(ListNames(At("file")).error, ENOTDIR);
}

TEST_F(Errno, E03_Eisdir) {
  Put("dir/file", "x");
  MountBoth();
  EXPECT_EQ(ReadWhole(At("dir")).error, EISDIR);
}

TEST_F(Errno, E04_Eio) {
  Put("a", Pattern(256 * kKiB));
  MountStore({"--op-timeout", "3s"});
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  proxy().SetStore(Store::kRefused);
  EXPECT_EQ(ReadAt(fd.get(), 0, 4096).error, EIO);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Past what the mount knows.
  EXPECT_EQ(StatError(At("unknown")), EIO);
}

TEST_F(Errno, E05_Etimedout) {
  Put("silent", Pattern(256 * kKiB));
  Put("busy", Pattern(256 * kKiB));
  MountStore({"--op-timeout", "2s"});
  ASSERT_EQ(StatError(At("silent")), 0);
  proxy().AddRule({.operation = "GET", .target_part = "silent", .fault = {.stall_after = 0}});
  proxy().AddRule(
      {.operation = "GET", .target_part = "busy", .fault = {.answer = S3ErrorAnswer("503 Slow Down", "SlowDown")}});
  EXPECT_EQ(ReadDirect(At("silent"), 0, 4096).error, ETIMEDOUT);
  EXPECT_EQ(ReadDirect(At("busy"), 0, 4096).error, ETIMEDOUT);
}

TEST_F(Errno, E06_Eacces) {
  for (const char* const name : {"denied", "refused", "archived", "homeless"}) Put(name, "x");
  MountStore();
  sandbox().AllowErrorsInLog();
  ASSERT_EQ(ListNames(At("")).names.size(), 4U);
  for (const auto& [name, code] : {std::pair("denied", "AccessDenied"), std::pair("refused", "InvalidAccessKeyId"),
                                   std::pair("archived", "InvalidObjectState")}) {
    proxy().AddRule(
        {.operation = "GET", .target_part = name, .fault = {.answer = S3ErrorAnswer("403 Forbidden", code)}});
    EXPECT_EQ(ReadWhole(At(name)).error, EACCES) << name;
  }
  proxy().AddRule({.fault = {.answer = S3ErrorAnswer("404 Not Found", "NoSuchBucket")}});
  EXPECT_TRUE(
      Eventually([&] { return OpenError(At("homeless")) == EACCES || ReadWhole(At("homeless")).error == EACCES; }));
}

TEST_F(Errno, E07_Estale) {
  Put("a", Pattern(256 * kKiB));
  MountStore();
  const UniqueFd fd = OpenDirect(At("a"));
  ASSERT_TRUE(fd.is_open());
  Put("a", Pattern(256 * kKiB, 2));
  EXPECT_EQ(ReadAt(fd.get(), 0, 4096).error, ESTALE);
}

TEST_F(Errno, E08_Erofs) {
  WriteLocal("a", "x");
  MountBoth();
  const std::string name = At("a");
  EXPECT_EQ(Of(::open(name.c_str(), O_WRONLY | O_CLOEXEC)), EROFS);
  EXPECT_EQ(Of(::open(At("new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)), EROFS);
  EXPECT_EQ(Of(::mkdir(At("dir").c_str(), 0755)), EROFS);
  EXPECT_EQ(Of(::unlink(name.c_str())), EROFS);
  EXPECT_EQ(Of(::rename(name.c_str(), At("b").c_str())), EROFS);
  EXPECT_EQ(Of(::chmod(name.c_str(), 0600)), EROFS);
  EXPECT_EQ(Of(::truncate(name.c_str(), 0)), EROFS);
  EXPECT_EQ(Of(::symlink("x", At("link").c_str())), EROFS);
  EXPECT_EQ(Of(::setxattr(name.c_str(), "user.x", "1", 1, 0)), EROFS);
}

TEST_F(Errno, E09_Enametoolong) {
  MountBoth();
  EXPECT_EQ(StatError(At(std::string(256, 'n'))), ENAMETOOLONG);
}

TEST_F(Errno, E10_Enodata_E11_Erange) {
  Put("a", "x");
  MountBoth();
  std::array<char, 4> small{};
  EXPECT_EQ(Of(::getxattr(At("a").c_str(), "user.not-there", small.data(), small.size())), ENODATA);
  EXPECT_EQ(Of(::getxattr(At("a").c_str(), "user.s3overlay.source", small.data(), small.size())), ERANGE);
}

TEST_F(Errno, E12_Enxio) {
  ASSERT_EQ(::mkfifo((LocalDirectory() + "/fifo").c_str(), 0644), 0);
  MountBoth();
  EXPECT_EQ(Of(::open(At("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), ENXIO);
}

TEST_F(Errno, E13_Eloop_E14_Einval) {
  Put("a", "x");
  std::filesystem::create_symlink("two", LocalDirectory() + "/one");
  std::filesystem::create_symlink("one", LocalDirectory() + "/two");
  MountBoth();
  EXPECT_EQ(OpenError(At("one")), ELOOP);
  std::array<char, 64> target{};
  EXPECT_EQ(Of(::readlink(At("a").c_str(), target.data(), target.size())), EINVAL);
}

TEST_F(Errno, E15_Ebadf) {
  Put("a", "x");
  MountBoth();
  const UniqueFd fd(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
  struct flock lock{};
  lock.l_type = F_RDLCK;
  EXPECT_EQ(Of(::fcntl(fd.get(), F_SETLK, &lock)), 0);
  lock.l_type = F_WRLCK;
  EXPECT_EQ(Of(::fcntl(fd.get(), F_SETLK, &lock)), EBADF);
}

TEST_F(Errno, E16_Enotconn) {
  MountBoth();
  ::kill(mount().pid(), SIGKILL);
  MountTest::mount().Forget();
  EXPECT_TRUE(Eventually([&] { return StatError(At("a")) == ENOTCONN; }));
  EXPECT_EQ(sandbox().Run({"umount", mount().path()}).exit_code, 0);
}

TEST_F(Errno, E17_Ebusy) {
  Put("a", "x");
  MountBoth();
  const UniqueFd fd(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(Of(::umount2(mount().path().c_str(), 0)), EBUSY);
}

TEST_F(Errno, E18_Sigbus) {
  Put("a", Pattern(256 * kKiB));
  MountStore({"--op-timeout", "2s"});
  ASSERT_EQ(StatError(At("a")), 0);
  proxy().AddRule(
      {.operation = "GET", .fault = {.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")}});
  const ProcessResult touch = sandbox().RunProgram(
      {"/usr/bin/python3", "-c",
       "import mmap, sys\nf = open(sys.argv[1], 'rb')\nprint(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[0])",
       At("a")});
  EXPECT_EQ(touch.exit_code, 128 + SIGBUS) << touch.out << touch.err;
}

TEST_F(Errno, E19_Eopnotsupp) {
  Put("a", "x");
  MountBoth({"--no-xattr"});
  std::array<char, 64> value{};
  EXPECT_EQ(Of(::getxattr(At("a").c_str(), "user.s3overlay.source", value.data(), value.size())), EOPNOTSUPP);
  EXPECT_EQ(Of(::listxattr(At("a").c_str(), value.data(), value.size())), EOPNOTSUPP);
}

TEST_F(Errno, E20_Emfile) {
  WriteLocal("a", "local");
  MountWith({LocalDirectory()});
  ASSERT_EQ(StatError(At("a")), 0);
  rlimit before{};
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  EXPECT_EQ(OpenError(At("a")), EMFILE);
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_TRUE(Holds(At("a"), "local")) << "as before";
}

TEST_F(Errno, E21_Eio) {
  constexpr int kCalls = 4500;  // The lane takes 4,096 beside those that run.
  Put("a", "x");
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), "x"));
  proxy().SetStore(Store::kSilent);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Past what the mount knows.
  std::vector<int> errors(kCalls);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCalls; ++i) {
    callers.emplace_back([&, i] { errors[static_cast<size_t>(i)] = StatError(At("unknown-" + std::to_string(i))); });
  }
  for (std::thread& caller : callers) caller.join();
  for (const int error : errors) ASSERT_THAT(error, AnyOf(EIO, ETIMEDOUT));
  EXPECT_GT(sandbox().CountLogLines({"[warning]", "too many wait"}), 0);
  proxy().SetStore(Store::kUp);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a"), "x")); })) << "as before";
}

TEST_F(Errno, E22_Enomem) {
  const std::string object = Pattern(16 * kMiB);
  for (int i = 0; i < 8; ++i) Put("a" + std::to_string(i), object);
  MountStore();
  ASSERT_TRUE(Holds(At("a0"), object)) << "its threads run";
  sandbox().AllowErrorsInLog();  // libfuse would like more threads.
  rlimit before{};
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_AS, nullptr, &before), 0);
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_AS, &none, nullptr), 0);
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    const ReadOutcome got = ReadWhole(At("a" + std::to_string(i)));
    if (got.error == 0) {
      EXPECT_TRUE(SameBytes(got, object));
      continue;
    }
    EXPECT_EQ(got.error, ENOMEM);
    ++refused;
  }
  EXPECT_GT(refused, 0);
  ASSERT_EQ(::prlimit(mount().pid(), RLIMIT_AS, &before, nullptr), 0);
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("a7"), object)); })) << "as before";
}

}  // namespace
}  // namespace s3overlay::testing
