// SPDX-License-Identifier: Apache-2.0
#include "app/exit_code.h"

#include <fmt/format.h>

#include <cstdio>

#include "s3overlay/log.h"

namespace s3overlay {

int ExitCodeOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound: return kExitNotFound;
    case ErrorCode::kUnavailable:
    case ErrorCode::kBadResponse:
    case ErrorCode::kTimedOut:
    case ErrorCode::kThrottled:
    case ErrorCode::kCancelled:
    case ErrorCode::kWouldBlock: return kExitTemporary;
    case ErrorCode::kDenied:
    case ErrorCode::kCredentials:
    case ErrorCode::kArchived: return kExitDenied;
    case ErrorCode::kMisconfigured:
    case ErrorCode::kInvalidArgument: return kExitUsage;
    case ErrorCode::kSystem: return error.sys_errno == EACCES || error.sys_errno == EPERM ? kExitDenied : kExitError;
    case ErrorCode::kNotADirectory:
    case ErrorCode::kIsADirectory:
    case ErrorCode::kVersionGone:
    case ErrorCode::kUnsupported: return kExitError;
  }
  return kExitError;
}

int ReportError(const Error& error) {
  fmt::print(stderr, "s3overlay: {}\n", EscapeControlCharacters(error.message));
  return ExitCodeOf(error);
}

}  // namespace s3overlay
