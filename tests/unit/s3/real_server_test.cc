// SPDX-License-Identifier: Apache-2.0
//
// S3Store against a real server: what scripted answers only claim, beside what every ObjectStore promises
// (tests/contract).
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "s3/s3_store.h"
#include "support/s3/test_bucket.h"

namespace s3overlay {
namespace {

using testing::FixedCredentials;
using testing::TestBucket;
using testing::TestServer;

class RealServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::optional<TestServer> server = TestServer::FromEnvironment();
    if (!server) GTEST_SKIP() << TestServer::kHowTo;
    bucket_ = std::make_unique<TestBucket>(*server);
  }

  Result<ObjectMetadata> Head(const std::string& key) {
    return bucket_->store().Head(bucket_->name(), key, bucket_->context());
  }
  static Result<ListPage> List(S3Store& store, const std::string& bucket, const CallContext& context) {
    ListRequest request;
    request.bucket = bucket;
    return store.List(request, context);
  }

  std::unique_ptr<TestBucket> bucket_;
};

TEST_F(RealServerTest, AbsenceAndFaultsAreToldApart) {
  EXPECT_EQ(Head("missing").error().code, ErrorCode::kNotFound);
  S3Store& store = bucket_->store();
  EXPECT_EQ(store.Head("no-such-bucket-here", "k", bucket_->context()).error().code, ErrorCode::kMisconfigured);
  EXPECT_EQ(List(store, "no-such-bucket-here", bucket_->context()).error().code, ErrorCode::kMisconfigured);

  FixedCredentials wrong_secret(bucket_->server().access_key, "wrong");
  FixedCredentials wrong_key("NOSUCHACCESSKEY00000", "wrong");
  for (FixedCredentials* wrong : {&wrong_secret, &wrong_key}) {
    S3Store refused(bucket_->store_options(), bucket_->transport(), *wrong, bucket_->clock(), bucket_->metrics());
    EXPECT_EQ(refused.Head(bucket_->name(), "k", bucket_->context()).error().code, ErrorCode::kCredentials);
    EXPECT_EQ(List(refused, bucket_->name(), bucket_->context()).error().code, ErrorCode::kCredentials);
  }
}

TEST_F(RealServerTest, AWrongClockIsSetByTheStore) {
  class WrongClock final : public Clock {
   public:
    TimePoint Now() const override { return clock_.Now(); }
    WallTime WallNow() const override { return clock_.WallNow() - std::chrono::hours(5); }

   private:
    SystemClock clock_;
  };
  bucket_->Put("k", "one");
  const WrongClock clock;
  FixedCredentials credentials(bucket_->server().access_key, bucket_->server().secret_key);
  S3Store store(bucket_->store_options(), bucket_->transport(), credentials, clock, bucket_->metrics());
  const Result<ObjectMetadata> head = store.Head(bucket_->name(), "k", bucket_->context());
  EXPECT_TRUE(head) << head.error().message;
}

}  // namespace
}  // namespace s3overlay
