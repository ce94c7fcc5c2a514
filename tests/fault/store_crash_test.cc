// SPDX-License-Identifier: Apache-2.0
//
// kill -9 of the store itself, under load, and its restart. On a server of the test's own: the others share theirs.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "fault/fault_fixture.h"
#include "fault/reader_load.h"

namespace s3overlay::testing {
namespace {

// A real S3 server in a directory of its own (scripts/s3-server.sh), gone with this.
class OwnServer {
 public:
  OwnServer() { Run("start"); }
  ~OwnServer() { Run("stop"); }
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  // As a crash would; what was stored stays.
  void Kill() { Run("kill-gateway"); }
  void StartAgain() { Run("start-gateway"); }

  // How tests find it.
  std::string Variable(const std::string& name) {
    std::istringstream lines(Run("env"));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
    }
    return {};
  }

 private:
  std::string Run(const std::string& command) {
    Process script({"/bin/bash", S3OVERLAY_S3_SERVER, command, dir_ / "server"},
                   {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + dir_.path().string(), "LC_ALL=C.UTF-8"});
    const ProcessResult result = script.Wait(std::chrono::seconds(300));
    EXPECT_EQ(result.exit_code, 0) << command << ": " << result.out << result.err;
    return result.out;
  }

  const TempDir dir_;
};

class StoreCrash : public FaultTest {
 protected:
  void SetUp() override {
    if (!TestServer::FromEnvironment()) GTEST_SKIP() << TestServer::kHowTo;
    server_ = std::make_unique<OwnServer>();
    for (const char* const name : {"ENDPOINT", "ACCESS_KEY", "SECRET_KEY"}) {
      const std::string variable = std::string("S3OVERLAY_TEST_") + name;
      ::setenv(variable.c_str(), server_->Variable(variable).c_str(), 1);
    }
    FaultTest::SetUp();
    sandbox().SetEnvironment("AWS_ENDPOINT_URL", bucket().server().endpoint);  // Nobody in between.
  }
  void TearDown() override {
    FaultTest::TearDown();
    server_.reset();
  }

  std::unique_ptr<OwnServer> server_;
};

TEST_F(StoreCrash, K01_UnderLoadIsAnOutageThatEnds) {
  std::vector<LoadedFile> files;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "object-" + std::to_string(i);
    files.push_back({.path = sandbox().mountpoint() + "/" + name,
                     .content = Pattern(i % 2 == 0 ? 9 * kMiB + 7 : 700 * kKiB, static_cast<uint64_t>(i) + 1)});
    Put(name, files.back().content);
  }
  Put("cached", "in the cache");
  Put("both", "in S3");
  const std::string unread = Pattern(3 * kMiB, 99);  // Too large to be fetched ahead as a neighbour.
  Put("unread", unread);
  WriteLocal("both", "local");
  MountBoth({"--cache-size", "30M", "--op-timeout", "5s"});
  {
    ReaderLoad load(files, 4, true);
    ASSERT_TRUE(Eventually([&] { return load.bytes() > 20 * kMiB; }));
    ASSERT_TRUE(Holds(At("cached"), "in the cache"));
    ASSERT_TRUE(ComesToCache("cached"));
    server_->Kill();
    EXPECT_TRUE(Eventually([&] { return BreakerState() != "closed"; }));
    EXPECT_TRUE(Holds(At("cached"), "in the cache"));
    EXPECT_TRUE(ComesToState("cached", "stale"));
    EXPECT_TRUE(Holds(At("both"), "local"));
    EXPECT_EQ(State("both"), "degraded");
    EXPECT_EQ(ReadWhole(At("unread")).error, EIO);
    server_->StartAgain();
    EXPECT_TRUE(ComesToBreaker("closed"));
    EXPECT_TRUE(ComesToState("both", "fresh"));
    load.Stop();
  }
  for (const LoadedFile& file : files) EXPECT_TRUE(Holds(file.path, file.content)) << file.path;
  EXPECT_TRUE(Holds(At("both"), "in S3"));
  EXPECT_TRUE(Holds(At("unread"), unread));
}

}  // namespace
}  // namespace s3overlay::testing
