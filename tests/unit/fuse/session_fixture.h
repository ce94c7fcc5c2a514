// SPDX-License-Identifier: Apache-2.0
//
// A mount of a MemoryFileSource in the test's own process. File I/O happens in the test's threads while the session
// runs in others; a file of the mount is never mapped, nor a child started, which could wait for this very process.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fuse/session.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/unique_fd.h"
#include "support/memory_file_source.h"
#include "support/temp_dir.h"

namespace s3overlay::testing {

class SessionFixture : public ::testing::Test {
 protected:
  using Call = SourceCall;

  void SetUp() override {
    if (::geteuid() != 0 || ::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/fuse";
    options_.mountpoint = mountpoint_.path();
    options_.source_name = "s3://bucket/prefix, and more";
  }

  ~SessionFixture() override {
    source_.OpenGate(Call::kRead);
    source_.OpenGate(Call::kLookup);
    Stop();
    ::umount2(mountpoint_.path().c_str(), MNT_FORCE | MNT_DETACH);
  }

  void Mount() {
    auto session = FuseSession::Mount(options_, source_, clock_, metrics_);
    ASSERT_TRUE(session) << session.error().message;
    session_ = *std::move(session);
    running_ = std::async(std::launch::async, [this] { return session_->Run(); });
  }

  // False if the session does not end.
  bool WaitForEnd() {
    if (!running_.valid()) return true;
    if (running_.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      ::umount2(mountpoint_.path().c_str(), MNT_FORCE | MNT_DETACH);  // Or closing a file would wait for ever.
      return false;
    }
    const Result<void> result = running_.get();
    EXPECT_TRUE(result) << result.error().message;
    return true;
  }

  void Stop() {
    if (session_ == nullptr) return;
    session_->Stop();
    EXPECT_TRUE(WaitForEnd());
    session_.reset();
  }

  std::string At(const std::string& path) const { return mountpoint_ / path; }

  UniqueFd Open(const std::string& path, int flags = O_RDONLY) const {
    return UniqueFd(::open(At(path).c_str(), flags | O_CLOEXEC));
  }

  // The bytes from `offset` on, or the errno in words.
  static std::string Read(int fd, off_t offset = 0, size_t size = 4096) {
    std::string bytes(size, '\0');
    const ssize_t got = ::pread(fd, bytes.data(), size, offset);
    if (got < 0) return std::string("errno ") + ::strerrorname_np(errno);
    bytes.resize(static_cast<size_t>(got));
    return bytes;
  }
  std::string ReadFile(const std::string& path) const {
    const UniqueFd fd = Open(path);
    return fd.is_open() ? Read(fd.get(), 0, 1 << 20) : std::string("errno ") + ::strerrorname_np(errno);
  }

  struct stat Stat(const std::string& path) const {
    struct stat status{};
    EXPECT_EQ(::stat(At(path).c_str(), &status), 0) << path << ": " << ::strerrorname_np(errno);
    return status;
  }

  template <typename Condition>
  static bool WaitUntil(Condition condition) {
    for (int i = 0; i < 4000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  uint64_t StatusNumber(const std::string& name) const {
    for (const auto& [key, value] : session_->GetStatus()) {
      if (key == name) return std::get<uint64_t>(value.value);
    }
    ADD_FAILURE() << "no " << name;
    return 0;
  }

  const SystemClock clock_;
  Metrics metrics_;
  TempDir mountpoint_;
  MemoryFileSource source_;
  FuseOptions options_;
  std::unique_ptr<FuseSession> session_;
  std::future<Result<void>> running_;
};

}  // namespace s3overlay::testing
