// SPDX-License-Identifier: Apache-2.0
//
// Defaults that hang on the machine: how much memory and disk there is, and where a cache belongs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "config/mount_config.h"

namespace s3overlay {

// A quarter of what this process may use (machine or control group, cgroups(7)), at most 512 MiB. `root` is put before
// /proc and /sys; for tests.
uint64_t DefaultMemoryLimit(const std::string& root = "");

// Half of what is free where `dir` is or will be, at most 100 GiB. What the cache in it takes already counts as free,
// or it would shrink with each mount.
uint64_t DefaultCacheSize(const std::string& dir);

// Size of the file system of `dir`, in bytes; 0 where it cannot be asked.
uint64_t FileSystemSize(const std::string& dir);

// $CACHE_DIRECTORY, else a directory of the mountpoint's own in the caches of the system (root) or of the user.
std::string DefaultCacheDir(const std::string& mountpoint, const Environment& environment);
std::string DefaultCacheDir(const std::string& mountpoint, const Environment& environment, uid_t user);

}  // namespace s3overlay
