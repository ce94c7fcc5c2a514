// SPDX-License-Identifier: Apache-2.0
//
// docs/semantics.md: what programs may do with files of the mount (rows 21 to 23).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <utime.h>

#include <cstdio>
#include <functional>
#include <utility>

#include "mount/semantics_fixture.h"

namespace s3overlay::testing {
namespace {

int ErrorOfOpenFor(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  return fd.is_open() ? 0 : errno;
}

// Every call that would change the file; those that want a new name use NAME.new.
std::vector<std::pair<const char*, int>> ErrorsOfChanges(const std::string& file) {
  const std::string fresh = file + ".new";
  const auto of = [](int result) { return result == 0 ? 0 : errno; };
  return {
      {"open to write", ErrorOfOpenFor(file, O_WRONLY)},
      {"open to read and write", ErrorOfOpenFor(file, O_RDWR)},
      {"open and truncate", ErrorOfOpenFor(file, O_RDONLY | O_TRUNC)},
      {"create", ErrorOfOpenFor(fresh, O_RDONLY | O_CREAT)},
      {"mkdir", of(::mkdir(fresh.c_str(), 0755))},
      {"mknod", of(::mknod(fresh.c_str(), S_IFIFO | 0644, 0))},
      {"symlink", of(::symlink("target", fresh.c_str()))},
      {"link", of(::link(file.c_str(), fresh.c_str()))},
      {"rename", of(::rename(file.c_str(), fresh.c_str()))},
      {"unlink", of(::unlink(file.c_str()))},
      {"truncate", of(::truncate(file.c_str(), 0))},
      {"chmod", of(::chmod(file.c_str(), 0600))},
      {"chown", of(::chown(file.c_str(), 1, 1))},
      {"utime", of(::utime(file.c_str(), nullptr))},
      {"setxattr", of(::setxattr(file.c_str(), "user.mine", "x", 1, 0))},
      {"removexattr", of(::removexattr(file.c_str(), "user.mine"))},
  };
}

TEST_F(Semantics, Row21_EveryChangeIsRefused) {
  Put("dir/of-s3", "in S3");
  WriteLocal("dir/local", "local");
  MountBoth();
  for (const char* const name : {"dir/of-s3", "dir/local"}) {
    for (const auto& [call, error] : ErrorsOfChanges(At(name))) EXPECT_EQ(error, EROFS) << call << " " << name;
  }
  EXPECT_EQ(::rmdir(At("dir").c_str()) == 0 ? 0 : errno, EROFS);
  EXPECT_TRUE(Holds(At("dir/of-s3"), "in S3"));
  EXPECT_TRUE(Holds(LocalDirectory() + "/dir/local", "local"));
}

ReadOutcome SendFile(int from, size_t size) {
  const UniqueFd to(::memfd_create("to", MFD_CLOEXEC));
  for (ssize_t sent = 1; sent > 0;) sent = ::sendfile(to.get(), from, nullptr, size);
  return ReadAt(to.get(), 0, size);
}

ReadOutcome Splice(int from, size_t size) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {.bytes = {}, .error = errno};
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  loff_t offset = 0;
  const ssize_t moved = ::splice(from, &offset, writer.get(), nullptr, size, 0);
  if (moved < 0) return {.bytes = {}, .error = errno};
  std::string bytes(static_cast<size_t>(moved), '\0');
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(reader.get(), bytes.data(), bytes.size()))));
  return {.bytes = bytes, .error = 0};
}

void ExpectLocksWork(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd other(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(::flock(other.get(), LOCK_SH | LOCK_NB) == 0 ? 0 : errno, EWOULDBLOCK);
  EXPECT_EQ(::flock(fd.get(), LOCK_UN), 0);
  struct flock shared{};
  shared.l_type = F_RDLCK;
  shared.l_whence = SEEK_SET;
  EXPECT_EQ(::fcntl(fd.get(), F_SETLK, &shared), 0);
}

TEST_F(Semantics, Row22_LocksAndEveryWayOfReadingWork) {
  constexpr size_t kPipe = 32 * kKiB;
  const std::string object = Pattern(2 * kMiB + 100);
  const std::string local = Pattern(kMiB + 100, 2);
  Put("of-s3", object);
  WriteLocal("local", local);
  MountBoth();
  for (const auto& [name, bytes] : {std::pair("of-s3", object), std::pair("local", local)}) {
    SCOPED_TRACE(name);
    ExpectLocksWork(At(name));
    const UniqueFd fd(::open(At(name).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(SameBytes(SendFile(fd.get(), bytes.size()), bytes));
    EXPECT_TRUE(SameBytes(Splice(fd.get(), kPipe), bytes.substr(0, kPipe)));
    EXPECT_TRUE(SameBytes(ReadDirect(At(name), 64 * kKiB, 4 * kKiB), bytes.substr(64 * kKiB, 4 * kKiB)));
    // By another process, so that this one, whose proxy serves the daemon, never waits inside a page fault.
    const ProcessResult mapped =
        sandbox().RunProgram({"/usr/bin/python3", "-c",
                              "import mmap, sys\n"
                              "f = open(sys.argv[1], 'rb')\n"
                              "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
                              "sys.exit(0 if m[:] == f.read() == open(sys.argv[2], 'rb').read() else 1)",
                              At(name), sandbox().dir().Write("expected", bytes)});
    EXPECT_EQ(mapped.exit_code, 0) << mapped.err;
  }
}

TEST_F(Semantics, Row23_SocketsAndDevicesAreShownAndNeverOpened) {
  ASSERT_EQ(::mknod((LocalDirectory() + "/socket").c_str(), S_IFSOCK | 0644, 0), 0);
  ASSERT_EQ(::mknod((LocalDirectory() + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(::mknod((LocalDirectory() + "/disk").c_str(), S_IFBLK | 0600, makedev(7, 200)), 0);
  MountBoth();
  const auto expect = [&](const char* name, mode_t type, int error) {
    EXPECT_EQ(StatOf(At(name)).st_mode & S_IFMT, type) << name;
    EXPECT_EQ(ErrorOfOpenFor(At(name), O_RDONLY), error) << name;
  };
  expect("socket", S_IFSOCK, ENXIO);
  expect("null", S_IFCHR, EACCES);
  expect("disk", S_IFBLK, EACCES);
  EXPECT_EQ(StatOf(At("null")).st_rdev, makedev(1, 3));
}

TEST_F(Semantics, Row23_AFifoShowsAsASocketAndNobodyWaitsForAWriter) {
  ASSERT_EQ(::mkfifo((LocalDirectory() + "/fifo").c_str(), 0644), 0);
  MountBoth();
  EXPECT_EQ(StatOf(At("fifo")).st_mode & S_IFMT, static_cast<mode_t>(S_IFSOCK));
  EXPECT_EQ(ErrorOfOpenFor(At("fifo"), O_RDONLY), ENXIO);
  EXPECT_EQ(mount().Resolve("fifo").at("type"), "fifo");
}

}  // namespace
}  // namespace s3overlay::testing
