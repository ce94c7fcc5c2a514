// SPDX-License-Identifier: Apache-2.0
//
// What the kernel is told of a node: attributes, and for how long they hold.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "s3overlay/file_source.h"

namespace s3overlay {

// Owner and mode of everything shown.
struct Ownership {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t file_mode = 0444;  // Of files that have no mode of their own.
  mode_t directory_mode = 0555;
};

// Write permission is never shown: the mount is read-only.
struct stat ToStat(uint64_t inode_number, const FileAttributes& attributes, const Ownership& ownership);

// Seconds that the kernel may keep an answer: what is left of its life, and at most one for a degraded or stale one.
double KernelTimeout(const Entry& entry);

}  // namespace s3overlay
