// SPDX-License-Identifier: Apache-2.0
#include "support/disk/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

std::unique_ptr<SmallDisk> SmallDisk::Mount(const std::string& image, const std::string& mountpoint, uint64_t bytes) {
  std::ofstream(image).close();
  if (::truncate(image.c_str(), static_cast<off_t>(bytes)) != 0) return nullptr;
  const std::string make = "mkfs.ext4 -q -F -m 0 '" + image + "' >/dev/null 2>&1";
  const std::string mount = "mount -o loop '" + image + "' '" + mountpoint + "' >/dev/null 2>&1";
  if (std::system(make.c_str()) != 0 || std::system(mount.c_str()) != 0) return nullptr;
  return std::unique_ptr<SmallDisk>(new SmallDisk(mountpoint));
}

SmallDisk::~SmallDisk() { ::umount2(mountpoint_.c_str(), MNT_DETACH); }

uint64_t SmallDisk::FreeBytes() const {
  struct statvfs space{};
  ::statvfs(mountpoint_.c_str(), &space);
  return static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
}

void SmallDisk::FillUp(uint64_t left) const {
  const UniqueFd fd(::open(Filler().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  uint64_t size = 0;
  while (FreeBytes() > left + 8192 && ::fallocate(fd.get(), 0, static_cast<off_t>(size), 4096) == 0) size += 4096;
}

void SmallDisk::EmptyAgain() const { ::unlink(Filler().c_str()); }

}  // namespace s3overlay::testing
