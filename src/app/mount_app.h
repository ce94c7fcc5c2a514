// SPDX-License-Identifier: Apache-2.0
//
// The life of `s3overlay mount`: checks, the way into the background, the mount, and its orderly end.
#pragma once

namespace s3overlay {

struct MountConfig;

// Mounts and serves until it is unmounted or ended by SIGTERM or SIGINT. In the background (the default) it forks
// first and returns, in the calling process, when the mount answers or has failed. Reasons go to standard error, the
// result is the exit code. Call it once, before any thread exists.
int RunMount(const MountConfig& config);

}  // namespace s3overlay
