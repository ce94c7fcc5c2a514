// SPDX-License-Identifier: Apache-2.0
//
// S3Store against a real server: what scripted answers only claim.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

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
  Result<std::string> Get(const ObjectId& object, ByteRange range) {
    std::string received;
    const auto sink = [&](uint64_t, std::span<const std::byte> bytes) -> Result<void> {
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    S3OVERLAY_RETURN_IF_ERROR(bucket_->store().GetRange(object, range, sink, bucket_->context()));
    return received;
  }
  ListRequest AskFor(std::string prefix, std::string delimiter = "", int max_keys = 1000) const {
    return {.bucket = bucket_->name(),
            .prefix = std::move(prefix),
            .delimiter = std::move(delimiter),
            .continuation_token = {},
            .start_after = {},
            .max_keys = max_keys};
  }
  // Every name that the pages hold, common prefixes included.
  std::vector<std::string> ListAll(ListRequest request) {
    std::vector<std::string> names;
    while (true) {
      const Result<ListPage> page = bucket_->store().List(request, bucket_->context());
      if (!page) return {page.error().message};
      for (const ObjectMetadata& object : page->objects) names.push_back(object.id.key);
      names.insert(names.end(), page->common_prefixes.begin(), page->common_prefixes.end());
      if (!page->truncated) return names;
      request.continuation_token = page->next_token;
    }
  }

  std::unique_ptr<TestBucket> bucket_;
};

TEST_F(RealServerTest, HeadAndRangesOfAnObject) {
  std::string content;
  for (int i = 0; i < 100'000; ++i) content += fmt::format("{:09}\n", i);
  bucket_->Put("dir/object", content);
  const Result<ObjectMetadata> head = Head("dir/object");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->id.size, content.size());
  EXPECT_TRUE(HasStrongEtag(head->id));
  EXPECT_FALSE(head->archived);
  for (const ByteRange range : {ByteRange{0, 1}, {999'999, 1}, {0, 1'000'000}, {123'456, 78'901}}) {
    const Result<std::string> bytes = Get(head->id, range);
    ASSERT_TRUE(bytes) << bytes.error().message;
    EXPECT_TRUE(*bytes == content.substr(range.offset, range.size)) << range.offset;
  }
}

TEST_F(RealServerTest, ListAndHeadAgreeOnOddKeys) {
  const std::set<std::string> keys = {"a b+c",
                                      "100%25",
                                      "d\xc3\xbcnn/\xe6\x97\xa5",
                                      "//two//slashes//x",
                                      "~-._(p)!*'",
                                      "a=b&c=d?e#f;g:h@",
                                      "<x>\"y\"&amp;",
                                      "new\nline",
                                      "./../up",
                                      "tab\there",
                                      std::string(1024, 'k')};
  for (const std::string& key : keys) bucket_->Put(key, key);
  const std::vector<std::string> listed = ListAll(AskFor(""));
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), keys);
  const Result<ListPage> page = bucket_->store().List(AskFor(""), bucket_->context());
  ASSERT_TRUE(page) << page.error().message;
  for (const ObjectMetadata& object : page->objects) {
    const Result<ObjectMetadata> head = Head(object.id.key);
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(head->id.etag, object.id.etag);
    const Result<std::string> bytes = Get(object.id, {0, object.id.size});
    ASSERT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(*bytes, object.id.key);
  }
}

TEST_F(RealServerTest, ListsPageByPageWithADelimiter) {
  for (const char* key : {"p/a", "p/b/1", "p/b/2", "p/c", "p/d+ /1", "q", "100%25&\xc3\xbc"}) bucket_->Put(key, "x");
  const std::vector<std::string> expected = {"p/a", "p/b/", "p/c", "p/d+ /"};
  std::vector<std::string> paged = ListAll(AskFor("p/", "/", 2));
  std::sort(paged.begin(), paged.end());
  EXPECT_EQ(paged, expected);
  ListRequest after = AskFor("p/");
  after.start_after = "p/b/2";
  EXPECT_EQ(ListAll(after), (std::vector<std::string>{"p/c", "p/d+ /1"}));
  EXPECT_EQ(ListAll(AskFor("p/d+ /")), std::vector<std::string>{"p/d+ /1"});
  EXPECT_EQ(ListAll(AskFor("100%25&")), std::vector<std::string>{"100%25&\xc3\xbc"});
  EXPECT_TRUE(ListAll(AskFor("nothing/")).empty());
}

TEST_F(RealServerTest, AnOverwrittenOrDeletedVersionIsGone) {
  bucket_->Put("k", "one");
  const Result<ObjectMetadata> head = Head("k");
  ASSERT_TRUE(head);
  bucket_->Put("k", "two");
  EXPECT_EQ(Get(head->id, {0, 3}).error().code, ErrorCode::kVersionGone);
  ObjectId weak = head->id;
  weak.etag.clear();
  weak.last_modified -= std::chrono::hours(1);
  EXPECT_EQ(Get(weak, {0, 3}).error().code, ErrorCode::kVersionGone);
  const Result<ObjectMetadata> second = Head("k");
  ASSERT_TRUE(second);
  bucket_->Delete("k");
  EXPECT_EQ(Get(second->id, {0, 3}).error().code, ErrorCode::kVersionGone);
}

TEST_F(RealServerTest, AbsenceAndFaultsAreToldApart) {
  EXPECT_EQ(Head("missing").error().code, ErrorCode::kNotFound);
  S3Store& store = bucket_->store();
  EXPECT_EQ(store.Head("no-such-bucket-here", "k", bucket_->context()).error().code, ErrorCode::kMisconfigured);
  ListRequest list = AskFor("");
  list.bucket = "no-such-bucket-here";
  EXPECT_EQ(store.List(list, bucket_->context()).error().code, ErrorCode::kMisconfigured);

  FixedCredentials wrong_secret(bucket_->server().access_key, "wrong");
  FixedCredentials wrong_key("NOSUCHACCESSKEY00000", "wrong");
  for (FixedCredentials* wrong : {&wrong_secret, &wrong_key}) {
    S3Store refused(bucket_->store_options(), bucket_->transport(), *wrong, bucket_->clock(), bucket_->metrics());
    EXPECT_EQ(refused.Head(bucket_->name(), "k", bucket_->context()).error().code, ErrorCode::kCredentials);
    EXPECT_EQ(refused.List(AskFor(""), bucket_->context()).error().code, ErrorCode::kCredentials);
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
