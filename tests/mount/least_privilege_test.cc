// SPDX-License-Identifier: Apache-2.0
//
// What a mount keeps to itself: its files and its secrets.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "support/http_server.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

// Strings that stand for secrets: nothing may show any of them.
const std::string kMarks[] = {"MARKED-secret-key-0001",  "MARKED-session-token-0002", "MARKED-env-file-secret-0003",
                              "MARKED-toml-secret-0004", "MARKED-signature-0005",     "MARKED-proxy-password-0006"};

class LeastPrivilege : public MountTest {
 protected:
  // A command; what it says is kept.
  ProcessResult Run(const std::vector<std::string>& arguments) {
    ProcessResult result = sandbox().Run(arguments);
    said_ += result.out + result.err;
    return result;
  }

  void ExpectNoMark(const std::string& where, const std::string& text) {
    for (const std::string& mark : kMarks) EXPECT_THAT(text, Not(HasSubstr(mark))) << where;
    const char* const real = std::getenv("S3OVERLAY_TEST_SECRET_KEY");
    ASSERT_NE(real, nullptr);
    EXPECT_THAT(text, Not(HasSubstr(std::string(real)))) << where << ": the secret that works";
  }

  // A mount that must fail; what is left of it says nothing.
  void FailToMount(const std::vector<std::string>& more) {
    MountOptions options;
    options.arguments = {"--log-level", "trace"};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    std::vector<std::string> arguments = MountArguments(sandbox(), options);
    arguments.push_back(sandbox().mountpoint());
    EXPECT_NE(Run(arguments).exit_code, 0);
    EXPECT_FALSE(IsMounted(sandbox().mountpoint()));
  }

  void ExpectFilesOfTheCacheHoldNoMark() {
    for (const auto& entry : fs::recursive_directory_iterator(sandbox().cache())) {
      if (entry.is_regular_file()) ExpectNoMark(entry.path(), ReadWhole(entry.path()).bytes);
    }
  }

  // The daemon as others see it: its command line, its name, and that it started no program that would inherit from it.
  void ExpectDaemonShowsNoMark() {
    const std::string process = "/proc/" + std::to_string(mount().pid());
    for (const char* file : {"/cmdline", "/comm", "/status", "/maps", "/mountinfo"}) {
      ExpectNoMark(file, ReadWhole(process + file).bytes);
    }
    for (const auto& task : fs::directory_iterator(process + "/task")) {
      EXPECT_EQ(ReadWhole(task.path() / "children").bytes, "");
    }
  }

  std::string said_;
};

TEST_F(LeastPrivilege, SecretsThatWorkAreNotShown) {
  Put("a", "in S3");
  WriteLocal("b", "local");
  MountBoth({"--log-level", "trace"});
  EXPECT_TRUE(Holds(At("a"), "in S3"));
  EXPECT_EQ(StatError(At("missing")), ENOENT);
  for (const char* name : {"source", "state", "reason", "etag", "cached"}) said_ += Provenance(At("a"), name);
  const std::string uri = S3Layer() + "/a";
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"status", mount().path()},
                                             {"status", mount().path(), "--json"},
                                             {"resolve", At("a")},
                                             {"resolve", At("b"), "--json"},
                                             {"cache", "stats", mount().path(), "--json"},
                                             {"ls", S3Layer(), "--log-level", "trace"},
                                             {"cat", uri, "--log-level", "trace"},
                                             {"resolve", uri, "--log-level", "trace"},
                                             {"cat", uri + "-missing", "--log-level", "trace"}}) {
    Run(command);
  }
  proxy().SetStore(FaultProxy::Store::kRefused);
  (void)StatError(At("later"));
  Run({"status", mount().path()});
  ExpectNoMark("what commands say", said_);
  ExpectDaemonShowsNoMark();
  ExpectFilesOfTheCacheHoldNoMark();
  EXPECT_THAT(sandbox().Log(), HasSubstr("HTTP 200")) << "at this level requests are logged";
  ExpectNoMark("the log", sandbox().Log());
}

TEST_F(LeastPrivilege, SecretsThatAreRefusedAreNotShown) {
  sandbox().AllowErrorsInLog();
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", kMarks[0]);
  FailToMount({"--layer", S3Layer()});
  EXPECT_THAT(said_, HasSubstr("secret key")) << "the reason is said";
  sandbox().SetEnvironment("AWS_SESSION_TOKEN", kMarks[1]);
  FailToMount({"--layer", S3Layer()});
  Run({"ls", S3Layer(), "--log-level", "trace"});
  // The store quotes what it refuses, as it is and with an entity in it.
  const std::string quoted = kMarks[1] + " or &#77;" + kMarks[1].substr(1);
  proxy().AddRule({.fault = {.answer = HttpMessage{.start_line = "HTTP/1.1 403 Forbidden",
                                                   .headers = {},
                                                   .body = "<Error><Code>InvalidToken</Code><Message>" + quoted +
                                                           "</Message></Error>"}}});
  FailToMount({"--layer", S3Layer()});
  Run({"cat", S3Layer() + "/a", "--log-level", "trace"});
  ExpectNoMark("what commands say", said_);
  ExpectNoMark("the log", sandbox().Log());
}

TEST_F(LeastPrivilege, SecretsInSettingsAreNotShown) {
  sandbox().AllowErrorsInLog();
  const TempDir& dir = sandbox().dir();
  const std::string marked_url = "https://user:" + kMarks[4] + "@store.invalid/x?X-Amz-Signature=" + kMarks[4];
  const std::string presigned = "https://store.invalid/bucket/key?X-Amz-Signature=" + kMarks[4];
  const std::string in_bucket = "s3://key:" + kMarks[4] + "@bucket/data";
  const std::string broken_env = dir.Write("broken.env", "AWS_SECRET_ACCESS_KEY=\"" + kMarks[2] + "\n");
  const std::string odd_env = dir.Write("odd.env", "AWS_SECRET_ACCESS_KEY='" + kMarks[2] + " '\nAWS_ACCESS_KEY_ID=x\n");
  std::vector<std::vector<std::string>> settings = {{"--env-file", broken_env, "--layer", S3Layer()},
                                                    {"--env-file", odd_env, "--layer", S3Layer()},
                                                    {"--endpoint", marked_url, "--layer", S3Layer()},
                                                    {"--endpoint", presigned, "--layer", S3Layer()},
                                                    {"--endpoint", "ftp" + marked_url.substr(5), "--layer", S3Layer()},
                                                    {"--layer", presigned},
                                                    {"--layer", in_bucket},
                                                    {"--layer", marked_url}};
  const std::string secret = kMarks[3];
  int number = 0;
  for (const std::string& toml :
       {"secret-key = \"" + secret + "\"\n", "secret-key = " + secret + "\n", "secret-key = \"" + secret + "\n",
        "[[layer]]\nspec = \"s3://b\"\nsecret = \"" + secret + "\"\n", "secret-key \"" + secret + "\"\n",
        "endpoint = \"https://user:" + secret + "@store.invalid\"\n", "endpoint = \"https://a:" + secret + "\n"}) {
    settings.push_back({"--config", dir.Write("c" + std::to_string(number++) + ".toml", toml), "--layer", S3Layer()});
  }
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", "");
  sandbox().SetEnvironment("AWS_ACCESS_KEY_ID", "");
  for (const auto& arguments : settings) {
    said_.clear();
    FailToMount(arguments);
    EXPECT_NE(said_, "");
    ExpectNoMark(arguments[1].substr(0, arguments[1].find("MARKED")) + " says", said_);
  }
  for (const std::string& address : {presigned, in_bucket}) {
    for (const char* command : {"ls", "cat", "resolve"}) Run({command, address});
  }
  ExpectNoMark("what commands say", said_);
  if (fs::exists(sandbox().log_file())) ExpectNoMark("the log", sandbox().Log());
}

TEST_F(LeastPrivilege, PasswordsOfProxiesAreNotShown) {
  const RefusedPort refused;
  const std::string user = "://user:" + kMarks[5] + "@";
  for (const std::string& url :
       {"http" + user + "127.0.0.1:" + std::to_string(refused.port()), "http" + user + "[bad"}) {
    sandbox().SetEnvironment("http_proxy", url);
    Run({"ls", S3Layer(), "--log-level", "trace", "--op-timeout", "1s"});
    MountStore({"--log-level", "trace"});
    (void)StatError(At("a"));
    Run({"status", mount().path()});
    ExpectDaemonShowsNoMark();
    Unmount();
  }
  ExpectNoMark("what commands say", said_);
  ExpectNoMark("the log", sandbox().Log());
  EXPECT_TRUE(proxy().Requests().empty()) << "the proxy of the environment was not obeyed";
}

TEST_F(LeastPrivilege, FilesAreForTheirOwnerWhateverTheUmask) {
  Put("a", "in S3");
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    const mode_t before = ::umask(mask);
    fs::remove_all(sandbox().cache());
    fs::remove(sandbox().log_file());
    MountStore();
    ::umask(before);
    EXPECT_TRUE(Holds(At("a"), "in S3"));
    EXPECT_TRUE(ComesToCache("a"));
    EXPECT_EQ(StatOf(sandbox().cache()).st_mode, mode_t{S_IFDIR | 0700});
    for (const auto& entry : fs::recursive_directory_iterator(sandbox().cache())) {
      const mode_t expected = entry.is_directory() ? S_IFDIR | 0700 : S_IFREG | 0600;
      EXPECT_EQ(StatOf(entry.path()).st_mode, expected) << entry.path();
    }
    EXPECT_EQ(StatOf(sandbox().log_file()).st_mode, mode_t{S_IFREG | 0600});
    EXPECT_EQ(StatOf("/run/s3overlay").st_mode & 0777, 0700U);
    for (const auto& entry : fs::directory_iterator("/run/s3overlay")) {
      if (!entry.is_socket()) continue;
      EXPECT_EQ(StatOf(entry.path()).st_mode & 0777, 0600U) << entry.path();
    }
    Unmount();
  }
}

// A network of its own, in which the metadata address is on the loopback device, and somebody listens there.
class MetadataNetwork {
 public:
  MetadataNetwork() {
    is_there_ = ::unshare(CLONE_NEWNET) == 0 && SetUpLoopback();  // Of this thread, and of what it starts.
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = Address(80);
    const int on = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    is_there_ = is_there_ && ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(listener_.get(), 16) == 0;
  }
  bool is_there() const { return is_there_; }

  int TakeConnections() {
    int count = 0;
    for (UniqueFd peer; (peer = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))).is_open();)
      ++count;
    return count;
  }

  bool Connect() const {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = Address(80);
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

 private:
  static sockaddr_in Address(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, "169.254.169.254", &address.sin_addr);
    return address;
  }

  // netdevice(7).
  static bool SetUpLoopback() {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq up{};
    std::strcpy(up.ifr_name, "lo");
    up.ifr_flags = IFF_UP;
    ifreq other{};
    std::strcpy(other.ifr_name, "lo:0");
    const sockaddr_in address = Address(0);
    std::memcpy(&other.ifr_addr, &address, sizeof address);
    return ::ioctl(fd.get(), SIOCSIFFLAGS, &up) == 0 && ::ioctl(fd.get(), SIOCSIFADDR, &other) == 0;
  }

  bool is_there_ = false;
  UniqueFd listener_;
};

TEST(LeastPrivilegeNetwork, WithoutCredentialsNobodyAsksTheMetadataAddress) {
  std::thread([] {
    Sandbox sandbox;  // Says AWS_EC2_METADATA_DISABLED, as every test does.
    sandbox.AllowErrorsInLog();
    MetadataNetwork network;
    if (!network.is_there()) GTEST_SKIP() << "no network of its own to be had (root is needed)";
    ASSERT_TRUE(network.Connect());
    ASSERT_EQ(network.TakeConnections(), 1) << "this is how it would be seen";
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"ls", "s3://bucket"},
                                               {"cat", "s3://bucket/key"},
                                               {"mount", "--no-cache", "s3://bucket", sandbox.mountpoint()}}) {
      const ProcessResult result = sandbox.Run(command);
      EXPECT_THAT(result.err, HasSubstr("no credentials found")) << command[0];
      EXPECT_NE(result.exit_code, 0);
    }
    EXPECT_EQ(network.TakeConnections(), 0);
  }).join();
}

}  // namespace
}  // namespace s3overlay::testing
