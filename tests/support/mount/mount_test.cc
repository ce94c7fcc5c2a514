// SPDX-License-Identifier: Apache-2.0
#include "support/mount/mount_test.h"

#include <filesystem>
#include <optional>
#include <utility>

namespace s3overlay::testing {

MountTest::MountTest() = default;
MountTest::~MountTest() = default;

void MountTest::SetUp() {
  const std::optional<TestServer> server = TestServer::FromEnvironment();
  if (!server) GTEST_SKIP() << TestServer::kHowTo;
  bucket_ = std::make_unique<TestBucket>(*server);
  proxy_ = std::make_unique<FaultProxy>(server->port());
  sandbox_ = std::make_unique<Sandbox>(proxy_->url());
  std::filesystem::create_directory(LocalDirectory());
}

void MountTest::TearDown() {
  if (proxy_) {
    proxy_->ClearRules();
    proxy_->SetStore(FaultProxy::Store::kUp);
    proxy_->Release();
  }
  mount_.reset();
  sandbox_.reset();
  proxy_.reset();
  bucket_.reset();
}

void MountTest::MountBoth(const std::vector<std::string>& arguments) {
  MountWith({S3Layer(), LocalDirectory()}, arguments);
}

void MountTest::MountStore(const std::vector<std::string>& arguments) { MountWith({S3Layer()}, arguments); }

void MountTest::MountWith(const std::vector<std::string>& layers, const std::vector<std::string>& arguments) {
  MountOptions options;
  for (const std::string& layer : layers) options.arguments.insert(options.arguments.end(), {"--layer", layer});
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  MountWith(std::move(options));
}

void MountTest::MountWith(MountOptions options) {
  mount_.reset();
  mount_ = std::make_unique<Mount>(*sandbox_, options);
}

::testing::AssertionResult MountTest::ComesToState(std::string_view name, std::string_view state) const {
  if (Eventually([&] { return State(name) == state; })) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << name << " is in state " << State(name) << ", not " << state;
}

::testing::AssertionResult MountTest::ComesToCache(std::string_view name) const {
  nlohmann::json last;
  const bool came = Eventually([&] {
    last = mount_->Resolve(name);
    return last.value("cached_bytes", uint64_t{0}) == last.value("size", uint64_t{1});
  });
  return (came ? ::testing::AssertionSuccess() : ::testing::AssertionFailure()) << "in the cache: " << last.dump();
}

::testing::AssertionResult MountTest::ComesPartlyToCache(std::string_view name) const {
  nlohmann::json last;
  const bool came = Eventually([&] {
    last = mount_->Resolve(name);
    return last.value("cached_bytes", uint64_t{0}) > 0;
  });
  return (came ? ::testing::AssertionSuccess() : ::testing::AssertionFailure()) << "in the cache: " << last.dump();
}

}  // namespace s3overlay::testing
