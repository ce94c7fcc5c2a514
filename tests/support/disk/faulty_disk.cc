// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 314
#include "support/disk/faulty_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace s3overlay::testing {
namespace {

// What a system call returns, as libfuse wants it.
int Answer(int64_t result) { return result < 0 ? -errno : static_cast<int>(result); }

uint64_t InodeOf(int fd) {
  struct stat attributes{};
  ::fstat(fd, &attributes);
  return attributes.st_ino;
}

}  // namespace

// The callbacks: every call first meets the disk's faults, then happens in the directory.
struct FaultyDiskCalls {
  static FaultyDisk& Disk() { return *static_cast<FaultyDisk*>(fuse_get_context()->private_data); }

  // Of a call that only reads names and attributes.
  static std::string Look(const char* path) {
    Disk().WaitWhileHung();
    return Disk().PathOf(path);
  }
  // Of a call that changes something: nothing where it has to fail.
  static int Change(const char* path, std::string& real) {
    real = Look(path);
    return Disk().Fault(Disk().write_error_);
  }

  static void* Init(fuse_conn_info* connection, fuse_config* config) {
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_WRITEBACK_CACHE);
    config->use_ino = 1;
    config->nullpath_ok = 1;
    config->hard_remove = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return fuse_get_context()->private_data;
  }

  static int GetAttributes(const char* path, struct stat* attributes, fuse_file_info* file) {
    if (file == nullptr) return Answer(::lstat(Look(path).c_str(), attributes));
    Disk().WaitWhileHung();
    return Answer(::fstat(static_cast<int>(file->fh), attributes));
  }
  static int MakeDirectory(const char* path, mode_t mode) {
    std::string real;
    if (const int fault = Change(path, real)) return fault;
    return Answer(::mkdir(real.c_str(), mode));
  }
  static int Unlink(const char* path) { return Answer(::unlink(Look(path).c_str())); }
  static int RemoveDirectory(const char* path) { return Answer(::rmdir(Look(path).c_str())); }
  static int Rename(const char* from, const char* to, unsigned) {
    std::string real;
    if (const int fault = Change(from, real)) return fault;
    return Answer(::rename(real.c_str(), Disk().PathOf(to).c_str()));
  }
  static int ChangeMode(const char* path, mode_t mode, fuse_file_info* file) {
    Disk().WaitWhileHung();
    if (file != nullptr) return Answer(::fchmod(static_cast<int>(file->fh), mode));
    return Answer(::chmod(Disk().PathOf(path).c_str(), mode));
  }
  static int Truncate(const char* path, off_t size, fuse_file_info* file) {
    Disk().WaitWhileHung();
    if (const int fault = Disk().Fault(Disk().write_error_)) return fault;
    if (file != nullptr) return Answer(::ftruncate(static_cast<int>(file->fh), size));
    return Answer(::truncate(Disk().PathOf(path).c_str(), size));
  }

  static int Open(const char* path, fuse_file_info* file) {
    const std::string real = Look(path);
    return Opened(::open(real.c_str(), FlagsOf(*file) & ~(O_CREAT | O_EXCL | O_NOFOLLOW)), path, file);
  }
  static int Create(const char* path, mode_t mode, fuse_file_info* file) {
    std::string real;
    if (const int fault = Change(path, real)) return fault;
    return Opened(::open(real.c_str(), FlagsOf(*file) | O_CREAT, mode), path, file);
  }
  // Without O_DIRECT: the buffers of libfuse do not lie as it wants them.
  static int FlagsOf(const fuse_file_info& file) { return file.flags & ~O_DIRECT; }
  // Data files past the page cache, so that every read asks the disk; an index is mapped, which needs it.
  static int Opened(int fd, const char* path, fuse_file_info* file) {
    if (fd < 0) return -errno;
    file->fh = static_cast<uint64_t>(fd);
    file->direct_io = std::strncmp(path, "/data/", 6) == 0 ? 1 : 0;
    return 0;
  }

  static int Read(const char*, char* buffer, size_t size, off_t offset, fuse_file_info* file) {
    Disk().WaitWhileHung();
    if (const int fault = Disk().Fault(Disk().read_error_)) return fault;
    Disk().Pace(size);
    return Answer(::pread(static_cast<int>(file->fh), buffer, size, offset));
  }
  static int Write(const char*, const char* bytes, size_t size, off_t offset, fuse_file_info* file) {
    Disk().WaitWhileHung();
    if (const int fault = Disk().Fault(Disk().write_error_)) return fault;
    Disk().Pace(size);
    Disk().RememberBefore(static_cast<int>(file->fh), static_cast<uint64_t>(offset), size);
    return Answer(::pwrite(static_cast<int>(file->fh), bytes, size, offset));
  }
  static int Sync(const char*, int, fuse_file_info* file) {
    Disk().WaitWhileHung();
    return Disk().Sync(static_cast<int>(file->fh));
  }
  static int Allocate(const char*, int mode, off_t offset, off_t size, fuse_file_info* file) {
    Disk().WaitWhileHung();
    return Answer(::fallocate(static_cast<int>(file->fh), mode, offset, size));
  }
  static int Release(const char*, fuse_file_info* file) { return Answer(::close(static_cast<int>(file->fh))); }

  static int GetSpace(const char* path, struct statvfs* space) {
    return Answer(::statvfs(Look(path == nullptr ? "/" : path).c_str(), space));
  }
  static int SetXattr(const char* path, const char* name, const char* value, size_t size, int flags) {
    std::string real;
    if (const int fault = Change(path, real)) return fault;
    return Answer(::lsetxattr(real.c_str(), name, value, size, flags));
  }
  static int GetXattr(const char* path, const char* name, char* value, size_t size) {
    return Answer(::lgetxattr(Look(path).c_str(), name, value, size));
  }
  static int OpenDirectory(const char* path, fuse_file_info* file) {
    DIR* const directory = ::opendir(Look(path).c_str());
    if (directory == nullptr) return -errno;
    file->fh = reinterpret_cast<uint64_t>(directory);
    return 0;
  }
  static int ReadDirectory(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info* file,
                           fuse_readdir_flags) {
    Disk().WaitWhileHung();
    DIR* const directory = reinterpret_cast<DIR*>(file->fh);
    ::rewinddir(directory);
    while (const dirent* entry = ::readdir(directory)) {
      struct stat attributes{};
      attributes.st_ino = entry->d_ino;
      attributes.st_mode = static_cast<mode_t>(entry->d_type) << 12;
      fill(buffer, entry->d_name, &attributes, 0, static_cast<fuse_fill_dir_flags>(0));
    }
    return 0;
  }
  static int ReleaseDirectory(const char*, fuse_file_info* file) {
    return Answer(::closedir(reinterpret_cast<DIR*>(file->fh)));
  }

  static fuse_operations Table() {
    fuse_operations calls{};
    calls.init = Init;
    calls.getattr = GetAttributes;
    calls.mkdir = MakeDirectory;
    calls.unlink = Unlink;
    calls.rmdir = RemoveDirectory;
    calls.rename = Rename;
    calls.chmod = ChangeMode;
    calls.truncate = Truncate;
    calls.open = Open;
    calls.create = Create;
    calls.read = Read;
    calls.write = Write;
    calls.fsync = Sync;
    calls.fallocate = Allocate;
    calls.release = Release;
    calls.statfs = GetSpace;
    calls.setxattr = SetXattr;
    calls.getxattr = GetXattr;
    calls.opendir = OpenDirectory;
    calls.readdir = ReadDirectory;
    calls.releasedir = ReleaseDirectory;
    return calls;
  }
};

FaultyDisk::FaultyDisk(std::string directory, std::string mountpoint)
    : directory_(std::move(directory)), mountpoint_(std::move(mountpoint)) {
  const fuse_operations calls = FaultyDiskCalls::Table();
  const char* const arguments[] = {"faulty_disk", "-osubtype=faulty_disk,allow_other"};
  fuse_args args = FUSE_ARGS_INIT(2, const_cast<char**>(arguments));
  fuse_ = fuse_new(&args, &calls, sizeof calls, this);
  fuse_opt_free_args(&args);
  if (fuse_ == nullptr || fuse_mount(fuse_, mountpoint_.c_str()) != 0) throw std::runtime_error("mount " + mountpoint_);
  thread_ = std::thread([this] {
    fuse_loop_config* const config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, 32);
    fuse_loop_mt(fuse_, config);
    fuse_loop_cfg_destroy(config);
  });
}

FaultyDisk::~FaultyDisk() {
  Heal();
  // Ends the loop whatever still has files open here.
  ::umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH);
  thread_.join();
  fuse_unmount(fuse_);
  fuse_destroy(fuse_);
}

void FaultyDisk::LimitRate(uint64_t bytes_per_second) {
  MutexLock lock(mu_);
  rate_ = bytes_per_second;
  free_at_ = std::chrono::steady_clock::now();
}

void FaultyDisk::Hang() {
  MutexLock lock(mu_);
  hung_ = true;
}

void FaultyDisk::Resume() {
  MutexLock lock(mu_);
  hung_ = false;
  resumed_.SignalAll();
}

void FaultyDisk::Heal() {
  FailReads(0);
  FailWrites(0);
  LoseWritesAtSync(false);
  LimitRate(0);
  Resume();
}

void FaultyDisk::WaitWhileHung() {
  MutexLock lock(mu_);
  if (!hung_) return;
  ++waiting_;
  while (hung_) resumed_.Wait(mu_);
  --waiting_;
}

int FaultyDisk::Fault(const std::atomic<int>& error) {
  const int number = error;
  if (number != 0) ++faults_;
  return -number;
}

// One head, as a disk has: who comes later waits for those before.
void FaultyDisk::Pace(size_t bytes) {
  std::chrono::steady_clock::time_point done;
  {
    MutexLock lock(mu_);
    if (rate_ == 0) return;
    const auto takes = std::chrono::nanoseconds(bytes * 1'000'000'000 / rate_);
    free_at_ = std::max(free_at_, std::chrono::steady_clock::now()) + takes;
    done = free_at_;
  }
  std::this_thread::sleep_until(done);
}

void FaultyDisk::RememberBefore(int fd, uint64_t offset, size_t size) {
  if (!lose_at_sync_) return;
  std::string before(size, '\0');
  const ssize_t got = ::pread(fd, before.data(), size, static_cast<off_t>(offset));
  before.resize(got > 0 ? static_cast<size_t>(got) : 0);
  MutexLock lock(mu_);
  overwritten_[InodeOf(fd)].push_back({.offset = offset, .bytes = std::move(before)});
}

int FaultyDisk::Sync(int fd) {
  MutexLock lock(mu_);
  auto written = overwritten_.extract(InodeOf(fd));
  if (!lose_at_sync_ || written.empty()) return 0;
  std::reverse(written.mapped().begin(), written.mapped().end());
  for (const Overwritten& before : written.mapped()) {
    static_cast<void>(::pwrite(fd, before.bytes.data(), before.bytes.size(), static_cast<off_t>(before.offset)) < 0);
  }
  ++faults_;
  return -EIO;
}

}  // namespace s3overlay::testing
