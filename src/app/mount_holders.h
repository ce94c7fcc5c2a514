// SPDX-License-Identifier: Apache-2.0
//
// Who keeps a mount busy.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace s3overlay {

// "process 123 (bash): current directory /x/y", one for each process that can be looked into, but for this one and the
// mount's own `daemon` (0: not known). Mappings are not looked at: that can wait for a process that hangs.
std::vector<std::string> FindMountHolders(const std::string& mountpoint, pid_t daemon);

}  // namespace s3overlay
