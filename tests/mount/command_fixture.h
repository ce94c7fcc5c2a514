// SPDX-License-Identifier: Apache-2.0
//
// What tests of `s3overlay mount` share: a mount that must fail, one in the foreground, and ends of daemons.
#pragma once

#include <signal.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {

class Command : public MountTest {
 protected:
  // `mount` of S3 over local with more arguments; nothing may be mounted afterwards, and no process be left.
  ProcessResult FailToMount(const std::vector<std::string>& more = {}, const std::string& layer = {}) {
    MountOptions options;
    options.arguments = {"--layer", layer.empty() ? S3Layer() : layer, "--layer", LocalDirectory()};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    std::vector<std::string> arguments = MountArguments(sandbox(), options);
    arguments.push_back(sandbox().mountpoint());
    sandbox().AllowErrorsInLog();
    ProcessResult result = sandbox().Run(arguments);
    EXPECT_FALSE(IsMounted(sandbox().mountpoint()));
    EXPECT_TRUE(Eventually([&] { return sandbox().FindDaemons().empty(); })) << "a failed mount leaves a process";
    return result;
  }

  void MountInForeground() {
    MountOptions options;
    options.arguments = {"--layer", S3Layer(), "--layer", LocalDirectory()};
    options.foreground = true;
    MountWith(options);
  }

  // Ends a mount in the foreground by a signal.
  void ExpectCleanEnd(int signal) {
    mount().foreground().Signal(signal);
    mount().Forget();
    const ProcessResult result = mount().foreground().Wait();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_FALSE(IsMounted(sandbox().mountpoint()));
  }

  void KillDaemon() {
    const pid_t pid = mount().pid();
    ASSERT_GT(pid, 0);
    ::kill(pid, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return sandbox().FindDaemons().empty(); }));
    mount().Forget();
    // A call that the kernel had queued while the daemon was still ending has another error.
    ASSERT_TRUE(Eventually([&] { return ListNames(sandbox().mountpoint()).error == ENOTCONN; }));
  }
};

}  // namespace s3overlay::testing
