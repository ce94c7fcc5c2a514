// SPDX-License-Identifier: Apache-2.0
//
// Who keeps a mount busy.
#pragma once

#include <string>
#include <vector>

namespace s3overlay {

// "process 123 (bash): current directory /x/y", one for each process that can be looked into.
std::vector<std::string> FindMountHolders(const std::string& mountpoint);

}  // namespace s3overlay
