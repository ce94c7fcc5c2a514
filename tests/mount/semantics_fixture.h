// SPDX-License-Identifier: Apache-2.0
//
// The tests of docs/semantics.md are TEST_F(Semantics, RowNN_…): scripts/check_semantics.py finds them by that name.
#pragma once

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {

inline constexpr size_t kBlock = 128 * kKiB;  // Of the cache.
inline constexpr uint64_t kMiddle = 8 * kMiB;

class Semantics : public MountTest {
 protected:
  using Store = FaultProxy::Store;

  // Waits until reading the file ends with that errno.
  bool ComesToError(const std::string& name, int error) const {
    return Eventually([&] { return ReadWhole(At(name)).error == error; });
  }

  // When the requests of that operation came.
  std::vector<std::chrono::steady_clock::time_point> TimesOf(const std::string& operation) {
    std::vector<std::chrono::steady_clock::time_point> times;
    for (const ProxiedRequest& request : proxy().Requests()) {
      if (request.operation == operation) times.push_back(request.came_at);
    }
    return times;
  }

  // A line or more of Python with boto3's client `s3` and the name `bucket`, past the proxy; the exit code.
  int RunBoto(const std::string& code) {
    const std::string client =
        "import boto3, sys\n"
        "from botocore.config import Config\n"
        "s3 = boto3.client('s3', endpoint_url=sys.argv[1], config=Config(s3={'addressing_style': 'path'}))\n"
        "bucket = sys.argv[2]\n";
    const ProcessResult result =
        sandbox().RunProgram({"/usr/bin/python3", "-c", client + code, bucket().server().endpoint, bucket().name()});
    if (result.exit_code != 0) ADD_FAILURE() << result.err;
    return result.exit_code;
  }

  // S3 has "same" and "other", and the mount knows their sizes; the local "same" is as long, the local "other" is not.
  // Then the store is gone.
  void MountThenCutOff(const std::string& policy) {
    Put("same", "S3 bytes");
    Put("other", "S3, and of another size");
    WriteLocal("same", "my bytes");
    WriteLocal("other", "local");
    MountBoth({"--on-outage", policy});
    ASSERT_EQ(StatError(At("same")) + StatError(At("other")), 0);
    proxy().SetStore(Store::kRefused);
  }

  // A directory of S3 whose name is locally a link to somewhere beside the layer.
  void PutALinkThatLeadsOut() {
    Put("raw/in-S3", "of S3");
    sandbox().dir().Write("elsewhere/outside", "beside the layer");
    std::filesystem::create_symlink(sandbox().dir() / "elsewhere", LocalDirectory() + "/raw");
  }

  // An object of 16 MiB of which one block in the middle is in the cache, and a local file that is as long.
  std::string PutAndCacheTheMiddle(const std::string& name) {
    std::string object = Pattern(2 * kMiddle);
    Put(name, object);
    WriteLocal(name, Pattern(object.size(), 2));
    MountBoth();
    EXPECT_TRUE(SameBytes(ReadDirect(At(name), kMiddle, kBlock), object.substr(kMiddle, kBlock)));
    EXPECT_TRUE(ComesPartlyToCache(name));
    return object;
  }
};

}  // namespace s3overlay::testing
