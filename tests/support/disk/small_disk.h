// SPDX-License-Identifier: Apache-2.0
//
// SmallDisk: an ext4 file system of a few MiB on a loop device, to be filled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace s3overlay::testing {

// Needs root and loop devices.
class SmallDisk {
 public:
  // Of `bytes`, at `mountpoint`, which is there; `image` is made. Null where this machine cannot.
  static std::unique_ptr<SmallDisk> Mount(const std::string& image, const std::string& mountpoint, uint64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  uint64_t FreeBytes() const;  // As an unprivileged user has them.

  // Somebody else's file: grown until the disk is full but for `left` bytes; and gone again.
  void FillUp(uint64_t left) const;
  void EmptyAgain() const;

 private:
  explicit SmallDisk(std::string mountpoint) : mountpoint_(std::move(mountpoint)) {}
  std::string Filler() const { return mountpoint_ + "/somebody-elses"; }

  const std::string mountpoint_;
};

}  // namespace s3overlay::testing
