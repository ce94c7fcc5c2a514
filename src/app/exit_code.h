// SPDX-License-Identifier: Apache-2.0
//
// ExitCode: how a command ends, for scripts. The only place where an Error becomes an exit code.
#pragma once

#include "s3overlay/result.h"

namespace s3overlay {

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;      // Or a part of it failed.
inline constexpr int kExitUsage = 2;      // Usage or configuration.
inline constexpr int kExitNotFound = 4;   // What was asked for is not there.
inline constexpr int kExitTemporary = 5;  // Try again.
inline constexpr int kExitDenied = 7;     // Access or credentials.

int ExitCodeOf(const Error& error);

// Prints "s3overlay: message" to standard error and returns the exit code.
int ReportError(const Error& error);

}  // namespace s3overlay
