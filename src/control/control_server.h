// SPDX-License-Identifier: Apache-2.0
//
// ControlServer: answers `status`, `resolve` and `cache` of the command line over a unix socket: one JSON request a
// line, one JSON answer a line (control/json_codec.h), any number of them a connection.
//
// One thread waits for all connections and reads their lines, a few workers answer; so a peer that says nothing, or
// never reads its answer, stands in nobody's way. Only the mount's own user and root are answered (SO_PEERCRED,
// unix(7)). The socket is 0600, in a directory that nobody else can write to.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "control/socket_file.h"
#include "s3overlay/clock.h"
#include "s3overlay/control.h"
#include "s3overlay/result.h"
#include "s3overlay/thread_pool.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

class ControlServer {
 public:
  // Makes the directory (0700) where it is missing and replaces the socket that a dead daemon left. kMisconfigured: the
  // path is too long for a unix socket, another process answers there, or the directory is not safe; kSystem.
  // `control` and `clock` outlive the server. Starts threads: fork before.
  static Result<std::unique_ptr<ControlServer>> Start(std::string socket_path, MountControl& control,
                                                      const Clock& clock);

  // Cancels what is being answered, waits for it (the calls of MountControl notice CallContext::cancelled), and removes
  // the socket, unless it is another's by now.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;

  ControlServer(UniqueFd listener, UniqueFd wake, SocketFile file, MountControl& control, const Clock& clock);

  void Serve();
  bool WaitForEvents(std::vector<ConnectionPtr>& connections);
  void Accept(std::vector<ConnectionPtr>& connections);
  void PauseUnlessIdle(int error);
  bool TakeInput(Connection& connection);
  bool StartAnswer(const ConnectionPtr& connection);
  void Answer(Connection& connection, const std::string& line);
  std::string AnswerTo(const std::string& line, const CallContext& context);
  void Wake() const;

  MountControl& control_;
  const Clock& clock_;
  const UniqueFd listener_;
  const UniqueFd wake_;  // An eventfd: a connection is free again, or the server stops.
  const SocketFile file_;

  std::atomic<bool> stopping_{false};
  ThreadPool workers_;
  std::thread thread_;
};

}  // namespace s3overlay
