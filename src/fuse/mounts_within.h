// SPDX-License-Identifier: Apache-2.0
//
// MountsWithin: where in a file system other file systems are mounted. The kernel would take them off silently with the
// name that they lie on.
//
// Source: proc_pid_mountinfo(5). Mount namespaces of other processes count too, as far as /proc shows them.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace s3overlay {

// The paths within the file system "major:minor" on which something is mounted, as one mountinfo document shows them;
// relative to the file system's root, without leading slash.
std::set<std::string> ParseMountsWithin(std::string_view mountinfo, std::string_view device);

// The same for every mount namespace of this machine that can be seen.
std::set<std::string> MountsWithin(std::string_view device);

}  // namespace s3overlay
