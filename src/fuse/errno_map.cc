// SPDX-License-Identifier: Apache-2.0
#include "fuse/errno_map.h"

#include <cerrno>

namespace s3overlay {

// No default: a new code must say here what programs see of it.
int ErrnoOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound: return ENOENT;
    case ErrorCode::kNotADirectory: return ENOTDIR;
    case ErrorCode::kIsADirectory: return EISDIR;
    case ErrorCode::kUnavailable:
    case ErrorCode::kBadResponse:
    case ErrorCode::kCancelled: return EIO;
    case ErrorCode::kTimedOut:
    case ErrorCode::kThrottled: return ETIMEDOUT;
    case ErrorCode::kDenied:
    case ErrorCode::kCredentials:
    case ErrorCode::kMisconfigured:
    case ErrorCode::kArchived: return EACCES;
    case ErrorCode::kVersionGone: return ESTALE;
    case ErrorCode::kWouldBlock: return EIO;  // A bug: the lanes may wait.
    case ErrorCode::kInvalidArgument: return EINVAL;
    case ErrorCode::kUnsupported: return EOPNOTSUPP;
    case ErrorCode::kSystem: return error.sys_errno != 0 ? error.sys_errno : EIO;
  }
  return EIO;
}

}  // namespace s3overlay
