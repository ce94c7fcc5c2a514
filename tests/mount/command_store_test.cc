// SPDX-License-Identifier: Apache-2.0
//
// The ways to a store: https with verification, and the bucket in the host's name.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>

#include "mount/command_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StoreAccess : public Command {
 protected:
  void SetUp() override {
    Command::SetUp();
    if (IsSkipped()) return;
    const char* const endpoint = std::getenv("S3OVERLAY_TEST_TLS_ENDPOINT");
    const char* const authority = std::getenv("S3OVERLAY_TEST_CA_BUNDLE");
    if (endpoint == nullptr || authority == nullptr) GTEST_SKIP() << "no https: see scripts/s3-server.sh env";
    endpoint_ = endpoint;
    authority_ = authority;
  }

  // "https://127.0.0.1:PORT"; the certificate is for that address, s3.localhost and *.s3.localhost.
  const std::string& endpoint() const { return endpoint_; }
  const std::string& authority() const { return authority_; }
  std::string EndpointOf(const std::string& host) const { return "https://" + host + PortOf(endpoint_); }
  static std::string PortOf(const std::string& url) { return url.substr(url.rfind(':')); }

  // An authority that has vouched for nothing.
  std::string MakeAuthority() {
    std::string file = sandbox().dir() / "other-ca.pem";
    const ProcessResult made = sandbox().RunProgram(
        {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=another", "-keyout", sandbox().dir() / "other-ca.key", "-out", file});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return file;
  }

 private:
  std::string endpoint_;
  std::string authority_;
};

TEST_F(StoreAccess, HttpsByTheAuthorityThatIsGiven) {
  const std::string object = Pattern(3 * kMiB);
  Put("a", object);
  const std::vector<std::string> access = {"--endpoint", endpoint(), "--ca-bundle", authority()};
  MountStore(access);
  EXPECT_TRUE(Holds(At("a"), object));
  EXPECT_EQ(mount().Status().at("endpoints")[0].at("url"), endpoint());
  std::vector<std::string> cat = {"cat", SourceOf("a")};
  cat.insert(cat.end(), access.begin(), access.end());
  EXPECT_EQ(sandbox().Run(cat).out, object);
  EXPECT_EQ(proxy().Requests().size(), 0U) << "there is another way to the store";
}

TEST_F(StoreAccess, ACertificateThatIsNotTrustedIsRefusedAtOnce) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--endpoint", endpoint()},
      {"--endpoint", endpoint(), "--ca-bundle", MakeAuthority()},
      {"--endpoint", EndpointOf("localhost"), "--ca-bundle", authority()},
  };
  for (const auto& access : wrong) {
    const ProcessResult result = FailToMount(access);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("certificate"), HasSubstr("--ca-bundle"))) << access.back();
  }
}

TEST_F(StoreAccess, TheBucketInTheHostsName) {
  Put("dir/odd key+%~(1)", "virtual");
  MountStore({"--endpoint", "http://s3.localhost" + PortOf(proxy().url()), "--addressing", "virtual"});
  EXPECT_TRUE(Holds(At("dir/odd key+%~(1)"), "virtual"));
  const auto requests = proxy().Requests();
  ASSERT_FALSE(requests.empty());
  for (const ProxiedRequest& request : requests) {
    EXPECT_EQ(request.target.find(bucket().name()), std::string::npos) << request.target;
    const std::string* const host = request.message.Find("Host");
    ASSERT_NE(host, nullptr);
    EXPECT_TRUE(host->starts_with(bucket().name() + ".s3.localhost")) << *host;
  }
}

TEST_F(StoreAccess, TheBucketInTheHostsNameByHttps) {
  Put("a", "virtual, by https");
  MountStore({"--endpoint", EndpointOf("s3.localhost"), "--ca-bundle", authority(), "--addressing", "virtual"});
  EXPECT_TRUE(Holds(At("a"), "virtual, by https"));
  EXPECT_EQ(ListNames(At("")).names, std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace s3overlay::testing
