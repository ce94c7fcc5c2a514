// SPDX-License-Identifier: Apache-2.0
//
// Where the control socket of a mount lies.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace s3overlay {

// For this process's user and environment.
std::string ControlSocketPath(std::string_view mountpoint);

// `/run/s3overlay/ID.sock` for root, else `RUNTIME_DIR/s3overlay/ID.sock` (an empty `runtime_dir` means
// `/run/user/UID`); ID = Hash64Hex of the absolute mountpoint. The mountpoint is made absolute by its text alone: a
// mount that hangs must not hang the question where its socket is.
std::string ControlSocketPath(std::string_view mountpoint, uid_t user, std::string_view runtime_dir);

}  // namespace s3overlay
