// SPDX-License-Identifier: Apache-2.0
//
// Unix sockets under a path: the few steps that both ends of the control socket share. All sockets are non-blocking;
// what waits does so within a CallContext. Source: unix(7).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

Result<UniqueFd> MakeUnixSocket();

// kMisconfigured where the path is too long for a unix socket (107 bytes on Linux).
Result<void> CheckSocketPath(const std::string& path);

// 0, or an errno: ECONNREFUSED (nobody listens any more), ENOENT, EAGAIN (too many wait already), EACCES, ...
int ConnectTo(int fd, const std::string& path);

// As ConnectTo: 0, or an errno.
int BindTo(int fd, const std::string& path);

// Who is at the other end.
Result<uid_t> PeerUser(int fd);

// Sends everything. kUnavailable: the peer is gone; kTimedOut, kCancelled.
Result<void> SendAll(int fd, std::string_view bytes, const CallContext& context, const Clock& clock);

// Appends what has come. Zero is the end of the stream; kWouldBlock when there is nothing yet, else kUnavailable.
Result<size_t> ReceiveSome(int fd, std::string& input);

// Waits until `events` (poll(2)) or a hang-up is there; notices the deadline and a cancellation within 100 ms.
Result<void> WaitFor(int fd, short events, const CallContext& context, const Clock& clock);

}  // namespace s3overlay
