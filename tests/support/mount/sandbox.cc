// SPDX-License-Identifier: Apache-2.0
#include "support/mount/sandbox.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

namespace s3overlay::testing {
namespace {

constexpr size_t kShownLog = 12'000;

// What can be read of a file: a process may end while its files in /proc are looked at. Those are hundreds, and small.
std::string Text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Variable(const char* name, const char* otherwise = "") {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

// Mountpoints of this process's name space, the newest last (proc_pid_mountinfo(5): the fifth field, octal escapes).
std::vector<std::string> Mountpoints() {
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    points.push_back(field);
  }
  return points;
}

bool IsRunning(pid_t pid) {
  const std::string status = Text("/proc/" + std::to_string(pid) + "/status");
  return !status.empty() && status.find("State:\tZ") == std::string::npos;
}

void Kill(pid_t pid) {
  ::kill(pid, SIGKILL);
  Eventually([&] { return !IsRunning(pid); });
}

}  // namespace

Sandbox::Sandbox(const std::string& endpoint) {
  std::filesystem::create_directory(mountpoint());
  SetEnvironment("PATH", Variable("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"));
  SetEnvironment("HOME", dir_.path());
  SetEnvironment("LC_ALL", "C.UTF-8");
  SetEnvironment("AWS_EC2_METADATA_DISABLED", "true");
  const std::string reports = ":log_path=" + std::string(dir_ / "sanitizer");
  for (const char* const name : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    SetEnvironment(name, Variable(name) + reports);
  }
  if (endpoint.empty()) return;
  SetEnvironment("AWS_ENDPOINT_URL", endpoint);
  SetEnvironment("AWS_ACCESS_KEY_ID", Variable("S3OVERLAY_TEST_ACCESS_KEY"));
  SetEnvironment("AWS_SECRET_ACCESS_KEY", Variable("S3OVERLAY_TEST_SECRET_KEY"));
  SetEnvironment("AWS_REGION", "us-east-1");
}

Sandbox::~Sandbox() {
  EndEverything();
  CheckReports();
}

void Sandbox::SetEnvironment(const std::string& name, const std::string& value) {
  std::erase_if(environment_, [&](const auto& variable) { return variable.first == name; });
  if (!value.empty()) environment_.emplace_back(name, value);
}

std::vector<std::string> Sandbox::Environment() const {
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment_) lines.push_back(name + "=" + value);
  return lines;
}

std::unique_ptr<Process> Sandbox::Start(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {S3OVERLAY_BINARY};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return std::make_unique<Process>(argv, Environment());
}

std::string Sandbox::Program() { return S3OVERLAY_BINARY; }

ProcessResult Sandbox::Run(const std::vector<std::string>& arguments) const { return Start(arguments)->Wait(); }

ProcessResult Sandbox::RunProgram(const std::vector<std::string>& argv) const {
  return Process(argv, Environment()).Wait();
}

nlohmann::json Sandbox::RunJson(std::vector<std::string> arguments) const {
  const ProcessResult result = Run(arguments);
  EXPECT_EQ(result.exit_code, 0) << arguments[0] << ": " << result.err;
  const auto document = nlohmann::json::parse(result.out, nullptr, false);
  EXPECT_FALSE(document.is_discarded()) << arguments[0] << " printed no JSON:\n" << result.out;
  return document;
}

std::string Sandbox::Log() const { return Text(log_file()); }

int Sandbox::CountLogLines(std::initializer_list<std::string_view> texts) const {
  int count = 0;
  std::istringstream lines(Log());
  for (std::string line; std::getline(lines, line);) {
    const auto is_there = [&](std::string_view text) { return line.find(text) != std::string::npos; };
    count += std::all_of(texts.begin(), texts.end(), is_there) ? 1 : 0;
  }
  return count;
}

std::vector<pid_t> Sandbox::FindDaemons() const {
  std::vector<pid_t> pids;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const std::string command = Text(entry.path() / "cmdline");
    const bool is_ours = command.starts_with(S3OVERLAY_BINARY) && command.find(dir_.path()) != std::string::npos;
    if (is_ours && IsRunning(pid)) pids.push_back(pid);
  }
  return pids;
}

void Sandbox::EndEverything() const {
  for (const pid_t pid : FindDaemons()) {
    ADD_FAILURE() << "process " << pid << " was left behind";
    Kill(pid);
  }
  std::vector<std::string> points = Mountpoints();
  std::reverse(points.begin(), points.end());
  for (const std::string& point : points) {
    if (!point.starts_with(dir_.path().string())) continue;
    ADD_FAILURE() << point << " was left mounted";
    ::umount2(point.c_str(), MNT_DETACH);
  }
}

void Sandbox::CheckReports() const {
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    if (!entry.path().filename().string().starts_with("sanitizer")) continue;
    ADD_FAILURE() << "a sanitizer found\n" << Text(entry.path());
  }
  const std::string log = Log();
  if (!errors_allowed_ && log.find("[error]") != std::string::npos) ADD_FAILURE() << "there are errors in the log";
  if (!::testing::Test::HasFailure() || log.empty()) return;
  std::cerr << "--- the end of the log\n"
            << log.substr(log.size() - std::min<size_t>(log.size(), kShownLog)) << "---\n";
}

bool IsMounted(const std::string& path) {
  const auto points = Mountpoints();
  return std::find(points.begin(), points.end(), path) != points.end();
}

std::vector<std::string> MountArguments(const Sandbox& sandbox, const MountOptions& options) {
  std::vector<std::string> arguments = {
      "mount",       "--metadata-ttl", "1s",         "--negative-ttl",  "1s", "--op-timeout", "10s",
      "--log-level", "debug",          "--log-file", sandbox.log_file()};
  const std::vector<std::string> cache = {"--cache-dir", sandbox.cache(),    "--cache-size",
                                          "1G",          "--cache-min-free", "1M"};
  if (options.cache) arguments.insert(arguments.end(), cache.begin(), cache.end());
  if (!options.cache) arguments.emplace_back("--no-cache");
  if (options.foreground) arguments.emplace_back("--foreground");
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  return arguments;
}

Mount::Mount(Sandbox& sandbox, const MountOptions& options) : sandbox_(sandbox) {
  std::vector<std::string> arguments = MountArguments(sandbox, options);
  arguments.push_back(path());
  if (options.foreground) {
    process_ = sandbox.Start(arguments);
    up_ = Eventually([this] { return IsMounted(path()); });
  } else {
    command_ = sandbox.Run(arguments);
    up_ = command_.exit_code == 0;
  }
  EXPECT_TRUE(up_) << "mount failed: " << command_.exit_code << " " << command_.err;
  EXPECT_TRUE(IsMounted(path())) << "the command came back, and nothing is mounted";
}

Mount::~Mount() {
  if (up_) Unmount();
}

pid_t Mount::pid() const {
  const auto pids = sandbox_.FindDaemons();
  return pids.empty() ? -1 : pids.front();
}

void Mount::Unmount() {
  up_ = false;
  const ProcessResult result = sandbox_.Run({"umount", path()});
  EXPECT_EQ(result.exit_code, 0) << "umount: " << result.err;
  EXPECT_FALSE(IsMounted(path())) << "umount came back, and the mount is still there";
  EXPECT_TRUE(Eventually([this] { return sandbox_.FindDaemons().empty(); })) << "the daemon did not end";
  if (process_) command_ = process_->Wait();
}

}  // namespace s3overlay::testing
