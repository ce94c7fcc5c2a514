// SPDX-License-Identifier: Apache-2.0
//
// `s3overlay umount`.
#pragma once

#include <string>

namespace s3overlay {

// Unmounts and waits until the daemon has ended (10 s at most), so that the cache may be used by the next one. A mount
// whose daemon is dead is cleaned up. A busy one stays, and who holds it is told. Returns the exit code: 4 where
// nothing of ours is mounted.
int RunUmount(const std::string& mountpoint);

}  // namespace s3overlay
