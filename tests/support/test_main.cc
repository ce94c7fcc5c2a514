// SPDX-License-Identifier: Apache-2.0
//
// main() of every test program. A test never asks the cloud's metadata address and never takes credentials from the
// machine it runs on.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

extern char** environ;

namespace {

void ForgetCredentialsOfThisMachine() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (text.starts_with("AWS_") || text.starts_with("OVH_S3_") || text.starts_with("S3OVERLAY_") ||
        text.starts_with("S3_")) {
      names.push_back(text.substr(0, text.find('=')));
    }
  }
  for (const std::string& name : names) {
    if (!name.starts_with("S3OVERLAY_TEST_")) ::unsetenv(name.c_str());
  }
  ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

}  // namespace

int main(int argc, char** argv) {
  ForgetCredentialsOfThisMachine();
  std::signal(SIGPIPE, SIG_IGN);
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
