// SPDX-License-Identifier: Apache-2.0
#include "control/control_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "control/control_client.h"
#include "control/json_codec.h"
#include "control/unix_socket.h"
#include "support/temp_dir.h"
#include "unit/control/sample_control.h"

namespace s3overlay {
namespace {

using ::testing::HasSubstr;
using testing::SampleControl;
using testing::TempDir;

constexpr Duration kLong = std::chrono::seconds(60);

mode_t ModeOf(const std::string& path) {
  struct stat found{};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

class ControlServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<ControlServer> Start() {
    auto server = ControlServer::Start(path_, control_, clock_);
    EXPECT_TRUE(server) << server.error().message;
    return server ? *std::move(server) : nullptr;
  }
  std::unique_ptr<ControlClient> Connect() {
    auto client = ControlClient::Connect(path_, kLong);
    EXPECT_TRUE(client) << client.error().message;
    return client ? *std::move(client) : nullptr;
  }
  UniqueFd ConnectRaw() {
    UniqueFd fd = *MakeUnixSocket();
    while (ConnectTo(fd.get(), path_) == EAGAIN) std::this_thread::yield();
    return fd;
  }
  // What comes until the peer hangs up.
  std::string ReceiveAll(int fd) {
    std::string all;
    while (WaitFor(fd, POLLIN, {.deadline = Deadline::After(clock_, kLong)}, clock_)) {
      const auto got = ReceiveSome(fd, all);
      if (got ? *got == 0 : got.error().code != ErrorCode::kWouldBlock) break;
    }
    return all;
  }

  const TempDir dir_;
  const std::string path_ = dir_ / "run" / "id.sock";
  const SystemClock clock_;
  SampleControl control_;
};

TEST_F(ControlServerTest, EveryCallComesBack) {
  const auto server = Start();
  const auto client = Connect();
  const auto status = client->FetchStatus();
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->size(), testing::SampleStatus().size());
  const auto resolution = client->Resolve("odd \xff\n", {});
  ASSERT_TRUE(resolution) << resolution.error().message;
  EXPECT_EQ(resolution->path, "odd \xff\n");
  EXPECT_EQ(client->FetchCacheStats()->hits, 17u);
  EXPECT_TRUE(client->ClearCache());
  EXPECT_EQ(control_.clears, 1);
}

TEST_F(ControlServerTest, ErrorsComeBackAndTheConnectionLives) {
  const auto server = Start();
  const auto client = Connect();
  EXPECT_EQ(client->Resolve("missing", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(client->Resolve("broken", {}).error().sys_errno, EIO);
  EXPECT_EQ(client->Resolve("bug", {}).error().code, ErrorCode::kSystem);
  EXPECT_EQ(client->Resolve("bounded", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(client->Resolve("bounded", {.deadline = Deadline::After(clock_, kLong)}));
}

TEST_F(ControlServerTest, IsPrivateWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    const mode_t before = ::umask(mask);
    const auto server = Start();
    ::umask(before);
    EXPECT_EQ(ModeOf(path_), 0600u);
    EXPECT_EQ(ModeOf(dir_ / "run"), 0700u);
    std::filesystem::remove_all(dir_ / "run");
  }
}

TEST_F(ControlServerTest, AMissingRuntimeDirectoryIsSaidToBeMissing) {
  const auto server = ControlServer::Start(dir_ / "no" / "run" / "id.sock", control_, clock_);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::kMisconfigured);
  EXPECT_THAT(server.error().message, HasSubstr("XDG_RUNTIME_DIR"));
}

TEST_F(ControlServerTest, ADirectoryThatOthersWriteToIsRefused) {
  std::filesystem::create_directory(dir_ / "run");
  ASSERT_EQ(::chmod((dir_ / "run").c_str(), 0777), 0);
  const auto server = ControlServer::Start(path_, control_, clock_);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::kMisconfigured);
}

TEST_F(ControlServerTest, ALiveSocketIsRefusedAndADeadOneReplaced) {
  {
    const auto server = Start();
    const auto second = ControlServer::Start(path_, control_, clock_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kMisconfigured);
    EXPECT_TRUE(Connect()->FetchStatus());  // The first is none the worse.
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  {
    const UniqueFd dead = *MakeUnixSocket();
    ASSERT_EQ(BindTo(dead.get(), path_), 0);
  }
  EXPECT_EQ(ControlClient::Connect(path_, kLong).error().code, ErrorCode::kNotFound);
  const auto server = Start();
  EXPECT_TRUE(Connect()->FetchStatus());
}

TEST_F(ControlServerTest, AFileThatIsNoSocketIsNotRemoved) {
  dir_.Write("run/id.sock", "precious");
  ASSERT_EQ(::chmod((dir_ / "run").c_str(), 0700), 0);
  EXPECT_FALSE(ControlServer::Start(path_, control_, clock_));
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ControlServerTest, LeavesASocketThatIsAnothersByNow) {
  auto server = Start();
  std::filesystem::remove(path_);
  std::ofstream(path_) << "another's";
  server.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, APathTooLongForASocketIsAnError) {
  const std::string path = dir_ / std::string(120, 'x');
  EXPECT_EQ(ControlServer::Start(path, control_, clock_).error().code, ErrorCode::kMisconfigured);
  EXPECT_EQ(ControlClient::Connect(path, kLong).error().code, ErrorCode::kMisconfigured);
}

TEST_F(ControlServerTest, NobodyAnswersWhereThereIsNoMount) {
  EXPECT_EQ(ControlClient::Connect(path_, kLong).error().code, ErrorCode::kNotFound);
}

TEST_F(ControlServerTest, SilentPeersBlockNeitherOthersNorTheEnd) {
  auto server = Start();
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 100; ++i) {
    silent.push_back(ConnectRaw());
    (void)SendAll(silent.back().get(), "{\"call\":", {}, clock_);  // Closed already to make room: no matter.
  }
  EXPECT_TRUE(Connect()->FetchStatus());
  server.reset();
}

TEST_F(ControlServerTest, NonsenseGetsAnErrorAndTheNextLineIsHeard) {
  const auto server = Start();
  const UniqueFd fd = ConnectRaw();
  ASSERT_TRUE(SendAll(fd.get(), "\xff nonsense\n{\"call\":\"fly\"}\n\n{\"call\":\"status\"}\n", {}, clock_));
  ::shutdown(fd.get(), SHUT_WR);
  const std::string answers = ReceiveAll(fd.get());
  EXPECT_EQ(std::count(answers.begin(), answers.end(), '\n'), 4);
  EXPECT_THAT(answers, HasSubstr("no request"));
  EXPECT_THAT(answers, HasSubstr("fly"));
  EXPECT_THAT(answers, HasSubstr("uptime_s"));
}

TEST_F(ControlServerTest, ARequestWithoutEndIsRefused) {
  const auto server = Start();
  const UniqueFd fd = ConnectRaw();
  (void)SendAll(fd.get(), std::string(kMaxRequestBytes + 100'000, 'x'), {}, clock_);
  EXPECT_THAT(ReceiveAll(fd.get()), HasSubstr("too long"));
  EXPECT_TRUE(Connect()->FetchStatus());
}

TEST_F(ControlServerTest, TheEndCancelsWhatIsBeingAnswered) {
  auto server = Start();
  std::jthread asking([&] { (void)Connect()->VerifyCache({}); });
  control_.verifying.wait();
  server.reset();
  EXPECT_TRUE(control_.verify_ended.try_wait());
}

TEST_F(ControlServerTest, APeerThatHangsUpCancelsItsCall) {
  const auto server = Start();
  {
    const UniqueFd fd = ConnectRaw();
    ASSERT_TRUE(SendAll(fd.get(), EncodeRequest({"cache_verify", "", std::nullopt}), {}, clock_));
    control_.verifying.wait();
  }
  control_.verify_ended.wait();
  EXPECT_TRUE(Connect()->FetchStatus());
}

TEST_F(ControlServerTest, TheClientGivesUpInTimeAndWhenCancelled) {
  const auto server = Start();
  const auto client = Connect();
  const auto late = client->VerifyCache({.deadline = Deadline::After(clock_, std::chrono::milliseconds(20))});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(client->FetchStatus().error().code, ErrorCode::kUnavailable);
  control_.verify_ended.wait();
}

TEST_F(ControlServerTest, TheClientNoticesThatTheMountWentAway) {
  auto server = Start();
  const auto client = Connect();
  ASSERT_TRUE(client->FetchStatus());
  server.reset();
  EXPECT_EQ(client->FetchStatus().error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace s3overlay
