// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/result.h"

#include <cstring>

#include <fmt/format.h>

namespace s3overlay {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kNotADirectory: return "not a directory";
    case ErrorCode::kIsADirectory: return "is a directory";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kBadResponse: return "bad response";
    case ErrorCode::kTimedOut: return "timed out";
    case ErrorCode::kThrottled: return "throttled";
    case ErrorCode::kDenied: return "denied";
    case ErrorCode::kCredentials: return "credentials refused";
    case ErrorCode::kMisconfigured: return "misconfigured";
    case ErrorCode::kVersionGone: return "version gone";
    case ErrorCode::kArchived: return "archived";
    case ErrorCode::kWouldBlock: return "would block";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kSystem: return "system error";
  }
  return "unknown";
}

bool IsOutage(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kBadResponse:
    case ErrorCode::kTimedOut:
    case ErrorCode::kDenied:
    case ErrorCode::kCredentials:
    case ErrorCode::kMisconfigured: return true;
    case ErrorCode::kNotFound:
    case ErrorCode::kNotADirectory:
    case ErrorCode::kIsADirectory:
    case ErrorCode::kThrottled:
    case ErrorCode::kVersionGone:
    case ErrorCode::kArchived:
    case ErrorCode::kWouldBlock:
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kSystem: return false;
  }
  return false;
}

Error SystemError(int sys_errno, std::string_view what) {
  char buffer[128];
  // The GNU form returns its text; it may or may not use the buffer.
  const char* text = ::strerror_r(sys_errno, buffer, sizeof buffer);
  Error error{.code = ErrorCode::kSystem, .message = fmt::format("{}: {}", what, text), .sys_errno = sys_errno};
  if (sys_errno == ENOENT) error.code = ErrorCode::kNotFound;
  if (sys_errno == ENOTDIR) error.code = ErrorCode::kNotADirectory;
  if (sys_errno == EISDIR) error.code = ErrorCode::kIsADirectory;
  return error;
}

}  // namespace s3overlay
