// SPDX-License-Identifier: Apache-2.0
//
// MountTest: the fixture of tests on a real mount. A bucket and a local directory of its own, a proxy with faults
// before the real server, a sandbox for the commands. Skips where no server is given (S3OVERLAY_TEST_ENDPOINT).
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/mount/fault_proxy.h"
#include "support/mount/files.h"
#include "support/mount/sandbox.h"
#include "support/s3/test_bucket.h"

namespace s3overlay::testing {

class MountTest : public ::testing::Test {
 protected:
  MountTest();
  ~MountTest() override;
  void SetUp() override;
  // The store is back and every fault over before the mount ends: how it ends in an outage has tests of its own.
  void TearDown() override;

  TestBucket& bucket() { return *bucket_; }
  FaultProxy& proxy() { return *proxy_; }
  Sandbox& sandbox() { return *sandbox_; }
  Mount& mount() { return *mount_; }

  // The S3 layer of these tests is the prefix "data" of the bucket, the local one the directory "local".
  std::string S3Layer() const { return "s3://" + bucket_->name() + "/data"; }
  std::string LocalDirectory() const { return sandbox_->dir() / "local"; }
  void Put(const std::string& path, std::string_view bytes) { bucket_->Put("data/" + path, bytes); }
  void Delete(const std::string& path) { bucket_->Delete("data/" + path); }
  void WriteLocal(const std::string& path, std::string_view bytes) { sandbox_->dir().Write("local/" + path, bytes); }

  // S3 over local; S3 alone; any layers at all. A mount that was there before is unmounted first.
  void MountBoth(const std::vector<std::string>& arguments = {});
  void MountStore(const std::vector<std::string>& arguments = {});
  void MountWith(const std::vector<std::string>& layers, const std::vector<std::string>& arguments = {});
  void MountWith(MountOptions options);
  void Unmount() { mount_.reset(); }

  std::string At(std::string_view name) const { return *mount_ / name; }
  std::string SourceOf(std::string_view path) const { return S3Layer() + "/" + std::string(path); }
  std::string State(std::string_view name) const { return Provenance(At(name), "state"); }

  // Waits until the state is that one, as the answers that the kernel keeps run out.
  ::testing::AssertionResult ComesToState(std::string_view name, std::string_view state) const;
  // Waits until the object is wholly in the cache, or has at least a byte there.
  ::testing::AssertionResult ComesToCache(std::string_view name) const;
  ::testing::AssertionResult ComesPartlyToCache(std::string_view name) const;

 private:
  std::unique_ptr<TestBucket> bucket_;
  std::unique_ptr<FaultProxy> proxy_;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Mount> mount_;
};

}  // namespace s3overlay::testing
