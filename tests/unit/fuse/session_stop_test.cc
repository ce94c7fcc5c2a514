// SPDX-License-Identifier: Apache-2.0
//
// How a mount begins and ends.
#include "unit/fuse/session_fixture.h"

namespace s3overlay {
namespace {

using SessionStop = testing::SessionFixture;

TEST_F(SessionStop, AnIdleMountEnds) {
  Mount();
  Stat("");
  Stop();
  struct stat inside{};
  struct stat beside{};
  ASSERT_EQ(::stat(mountpoint_.path().c_str(), &inside), 0);
  ASSERT_EQ(::stat(mountpoint_.path().parent_path().c_str(), &beside), 0);
  EXPECT_EQ(inside.st_dev, beside.st_dev) << "still mounted";
}

TEST_F(SessionStop, HungCallsEndWithAnError) {
  source_.AddFile("f", "bytes");
  Mount();
  source_.CloseGate(Call::kRead);
  auto read = std::async(std::launch::async, [this] {
    const UniqueFd fd = Open("f", O_RDONLY | O_DIRECT);  // Else the kernel tries once more after the answer.
    return Read(fd.get());
  });
  ASSERT_TRUE(source_.WaitUntilBlocked(Call::kRead));
  source_.CloseGate(Call::kLookup, "g");
  auto lookup = std::async(std::launch::async, [this] { return ReadFile("g"); });
  ASSERT_TRUE(source_.WaitUntilBlocked(Call::kLookup));
  Stop();
  EXPECT_EQ(read.get(), "errno EIO");
  EXPECT_EQ(lookup.get(), "errno EIO");
}

TEST_F(SessionStop, OpenFilesKeepNothingAlive) {
  source_.AddFile("f", "bytes");
  Mount();
  const UniqueFd fd = Open("f", O_RDONLY | O_DIRECT);
  EXPECT_EQ(Read(fd.get()), "bytes");
  Stop();
  EXPECT_EQ(Read(fd.get()), "errno ENOTCONN");
}

TEST_F(SessionStop, StopBeforeRunEndsItAtOnce) {
  auto session = FuseSession::Mount(options_, source_, clock_, metrics_);
  ASSERT_TRUE(session) << session.error().message;
  session_ = *std::move(session);
  session_->Stop();
  running_ = std::async(std::launch::async, [this] { return session_->Run(); });
  EXPECT_TRUE(WaitForEnd());
  session_->Stop();
}

TEST_F(SessionStop, StopsFromSeveralThreadsAtOnce) {
  Mount();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([this] { session_->Stop(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(WaitForEnd());
}

TEST_F(SessionStop, AnUnmountFromOutsideEndsIt) {
  source_.AddFile("f", "bytes");
  Mount();
  EXPECT_EQ(ReadFile("f"), "bytes");
  // The kernel tells of a closed file later than close() returns.
  EXPECT_TRUE(WaitUntil([&] { return ::umount2(mountpoint_.path().c_str(), 0) == 0; }));
  EXPECT_TRUE(WaitForEnd());
}

// The kernel gives the device number of a mount that has gone to the next one, so the number alone proves nothing.
TEST_F(SessionStop, TellsItsOwnMountFromWhatOthersPutThere) {
  const std::string at = mountpoint_.path();
  Mount();
  Stat("");
  EXPECT_TRUE(session_->IsStillMounted());
  ASSERT_EQ(::mount("none", at.c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_FALSE(session_->IsStillMounted()) << "another file system lies on top";
  ASSERT_EQ(::umount2(at.c_str(), 0), 0);
  EXPECT_TRUE(session_->IsStillMounted());
  ASSERT_TRUE(WaitUntil([&] { return ::umount2(at.c_str(), 0) == 0; }));
  EXPECT_TRUE(WaitForEnd());
  EXPECT_FALSE(session_->IsStillMounted()) << "nothing is mounted";
  Metrics metrics;
  const auto next = FuseSession::Mount(options_, source_, clock_, metrics);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_FALSE(session_->IsStillMounted()) << "it is the next one's";
  EXPECT_TRUE((*next)->IsStillMounted());
}

TEST_F(SessionStop, AMountThatNeverRanIsTakenDown) {
  auto session = FuseSession::Mount(options_, source_, clock_, metrics_);
  ASSERT_TRUE(session) << session.error().message;
  session->reset();
  EXPECT_NE(::umount2(mountpoint_.path().c_str(), 0), 0) << "still mounted";
}

TEST_F(SessionStop, AMountThatCannotBeSaysWhy) {
  options_.mountpoint = mountpoint_ / "absent";
  EXPECT_EQ(FuseSession::Mount(options_, source_, clock_, metrics_).error().code, ErrorCode::kNotFound);
  options_.mountpoint = mountpoint_.Write("file", "");
  EXPECT_EQ(FuseSession::Mount(options_, source_, clock_, metrics_).error().code, ErrorCode::kNotADirectory);
  options_.mountpoint = mountpoint_.path();
  options_.mount_options = {"no_such_option"};
  const auto session = FuseSession::Mount(options_, source_, clock_, metrics_);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(session.error().message.find("no_such_option"), std::string::npos);
}

}  // namespace
}  // namespace s3overlay
