// SPDX-License-Identifier: Apache-2.0
//
// The way to a running mount's daemon: its control socket, whoever mounted it.
#pragma once

#include <memory>
#include <string>

#include "control/control_client.h"
#include "s3overlay/clock.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Where the daemon of a mount listens: among its own user's files, so that root finds those of all users.
std::string ControlSocketOf(const std::string& mountpoint);

// kUnavailable where nobody answers, kDenied where we may not ask; the message says whose mount it is.
Result<std::unique_ptr<ControlClient>> ConnectToMount(const std::string& mountpoint, Duration timeout);

}  // namespace s3overlay
