// SPDX-License-Identifier: Apache-2.0
//
// Taking a mount away: as root by umount2(2), else by fusermount3.
#pragma once

#include <string>

#include "s3overlay/result.h"

namespace s3overlay {

enum class DetachMode {
  kWhenIdle,  // kSystem with EBUSY where somebody uses it.
  kAtOnce,    // Gone from the tree now; as root also its connection: who waits for an answer gets ENOTCONN.
};

Result<void> DetachMount(const std::string& mountpoint, DetachMode mode);

}  // namespace s3overlay
