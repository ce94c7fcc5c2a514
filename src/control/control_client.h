// SPDX-License-Identifier: Apache-2.0
//
// ControlClient: MountControl from another process. It is no MountControl itself, because here everything can fail.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "s3overlay/clock.h"
#include "s3overlay/control.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

struct ControlRequest;

// Not thread-safe. Errors are those of the running mount, and beside them: kUnavailable (it went away), kTimedOut,
// kCancelled, kBadResponse (what answers there is no s3overlay of this version). After one of these the client is of no
// more use.
class ControlClient {
 public:
  // `timeout` bounds the connecting, and each call that has no CallContext. kNotFound: no mount answers at this path
  // (no socket, or one that a dead daemon left); kDenied: it is another user's.
  static Result<std::unique_ptr<ControlClient>> Connect(std::string socket_path, Duration timeout);

  Result<StatusObject> FetchStatus();
  Result<Resolution> Resolve(std::string_view path, const CallContext& context);
  Result<BlockCacheStats> FetchCacheStats();
  Result<void> ClearCache();

  // As long as it takes, within the context; closing the client ends it in the daemon too.
  Result<CacheVerifyReport> VerifyCache(const CallContext& context);

 private:
  ControlClient(UniqueFd socket, std::string socket_path, Duration timeout);

  Result<std::string> Exchange(ControlRequest request, const CallContext& context);
  Result<std::string> SendAndReceive(const std::string& line, const CallContext& context);
  CallContext ShortCall() const;

  const std::string socket_path_;
  const Duration timeout_;
  const SystemClock clock_;
  UniqueFd socket_;
};

}  // namespace s3overlay
