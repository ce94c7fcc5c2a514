// SPDX-License-Identifier: Apache-2.0
//
// Sandbox: the directories, the environment and the s3overlay commands of one test; Mount: one running mount in it.
//
// Both end as a user would leave the machine: unmounted, no process left. A mount or process that is left behind, a
// sanitizer's report of any s3overlay process, and (unless expected) an error line in the log fail the test.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/mount/process.h"
#include "support/temp_dir.h"

namespace s3overlay::testing {

class Sandbox {
 public:
  // Commands find the store at `endpoint`, with the test server's keys; no keys without an endpoint.
  explicit Sandbox(const std::string& endpoint = {});
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  const TempDir& dir() const { return dir_; }
  std::string mountpoint() const { return dir_ / "mnt"; }
  std::string cache() const { return dir_ / "cache"; }
  std::string log_file() const { return dir_ / "log"; }

  // "NAME=value": in place of what was set before. An empty value takes the variable away.
  void SetEnvironment(const std::string& name, const std::string& value);

  // `s3overlay ARGUMENTS…`, to its end.
  ProcessResult Run(const std::vector<std::string>& arguments) const;
  static std::string Program();  // Where s3overlay itself is.
  std::unique_ptr<Process> Start(const std::vector<std::string>& arguments) const;
  // Any other program, in the same environment.
  ProcessResult RunProgram(const std::vector<std::string>& argv) const;

  // `s3overlay … --json` of a command that must succeed, parsed.
  nlohmann::json RunJson(std::vector<std::string> arguments) const;

  std::string Log() const;
  // How many lines of the log have all these texts in them.
  int CountLogLines(std::initializer_list<std::string_view> texts) const;
  void AllowErrorsInLog() { errors_allowed_ = true; }

  // The s3overlay processes that have this sandbox on their command line.
  std::vector<pid_t> FindDaemons() const;

 private:
  std::vector<std::string> Environment() const;
  void EndEverything() const;
  void CheckReports() const;

  const TempDir dir_;
  std::vector<std::pair<std::string, std::string>> environment_;
  bool errors_allowed_ = false;
};

// Whether something is mounted there, dead or alive.
bool IsMounted(const std::string& path);

struct MountOptions {
  std::vector<std::string> arguments;  // After those that every mount of a test has (TTLs of a second, cache, log).
  bool foreground = false;
  bool cache = true;
};

class Mount {
 public:
  // Mounts; `failure()` is empty and `is_up()` true when that went well, and a test failure is recorded otherwise.
  Mount(Sandbox& sandbox, const MountOptions& options);
  // Unmounts, if that has not happened.
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  std::string path() const { return sandbox_.mountpoint(); }
  std::string operator/(std::string_view name) const { return path() + "/" + std::string(name); }
  pid_t pid() const;  // Of the daemon; -1 when there is none.

  // What the mount command said and how it ended; in the foreground: empty until Unmount().
  const ProcessResult& command() const { return command_; }

  // `s3overlay umount`, and waits for the daemon's end.
  void Unmount();

  // For tests that end the mount by other means: nothing is unmounted or checked here any more.
  void Forget() { up_ = false; }
  Process& foreground() { return *process_; }

  nlohmann::json Status() const { return sandbox_.RunJson({"status", path(), "--json"}); }
  nlohmann::json Resolve(std::string_view name) const { return sandbox_.RunJson({"resolve", *this / name, "--json"}); }

 private:
  Sandbox& sandbox_;
  ProcessResult command_;
  std::unique_ptr<Process> process_;  // In the foreground only.
  bool up_ = false;
};

// The arguments of `mount` in tests, without layers: small TTLs, a cache and a log in the sandbox, everything logged.
std::vector<std::string> MountArguments(const Sandbox& sandbox, const MountOptions& options);

}  // namespace s3overlay::testing
