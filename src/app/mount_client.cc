// SPDX-License-Identifier: Apache-2.0
#include "app/mount_client.h"

#include <fmt/format.h>
#include <sys/types.h>
#include <unistd.h>

#include "app/mounts.h"
#include "control/socket_path.h"

namespace s3overlay {
namespace {

uid_t UserOf(const std::string& mountpoint) {
  for (const MountedOverlay& mount : FindMounts()) {
    if (mount.mountpoint == mountpoint) return mount.user;
  }
  return ::geteuid();
}

}  // namespace

std::string ControlSocketOf(const std::string& mountpoint) {
  const uid_t user = UserOf(mountpoint);
  // Our own runtime directory says nothing about another user's.
  return user == ::geteuid() ? ControlSocketPath(mountpoint) : ControlSocketPath(mountpoint, user, "");
}

Result<std::unique_ptr<ControlClient>> ConnectToMount(const std::string& mountpoint, Duration timeout) {
  auto client = ControlClient::Connect(ControlSocketOf(mountpoint), timeout);
  if (client) return client;
  Error error = client.error();
  if (error.code != ErrorCode::kNotFound) return error;
  error.code = ErrorCode::kUnavailable;
  error.message = fmt::format("the mount {} does not answer: {}", mountpoint, error.message);
  const uid_t user = UserOf(mountpoint);
  if (user != ::geteuid()) error.message += fmt::format("; user {} mounted it, ask as that user", user);
  return error;
}

}  // namespace s3overlay
