// SPDX-License-Identifier: Apache-2.0
#include "s3/wire_format.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "s3/dates.h"
#include "s3/response_check.h"

namespace s3overlay::s3 {
namespace {

ListRequest AskedFor(std::string prefix, std::string delimiter = "", std::string token = "") {
  ListRequest request;
  request.bucket = "b";
  request.prefix = std::move(prefix);
  request.delimiter = std::move(delimiter);
  request.continuation_token = std::move(token);
  return request;
}

std::string Page(std::string_view inside) {
  return fmt::format(
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}"
      "</ListBucketResult>",
      inside);
}

constexpr std::string_view kWhole = "<IsTruncated>false</IsTruncated>";

TEST(ListPage, IsRead) {
  const std::string body = Page(
      "<Prefix>p/</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>t 2+</NextContinuationToken>"
      "<Contents><Key>p/a+b%2B%0A</Key><LastModified>2013-09-17T18:07:53.500Z</LastModified>"
      "<ETag>&quot;599bab&quot;</ETag><Size>9223372036854775807</Size><StorageClass>STANDARD</StorageClass></Contents>"
      "<Contents><Key>p/old</Key><Size>0</Size><ETag>W/\"x\"</ETag><StorageClass>GLACIER</StorageClass></Contents>"
      "<Contents><Key>p/old2</Key><Size>1</Size><ETag>y</ETag><StorageClass>GLACIER</StorageClass><RestoreStatus>"
      "<IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2030-01-01T00:00:00Z</RestoreExpiryDate>"
      "</RestoreStatus></Contents>"
      "<CommonPrefixes><Prefix>p/sub%2Bdir/</Prefix></CommonPrefixes>");
  const Result<ListPage> page = ParseListPage(body, AskedFor("p/", "/"), "https://store");
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->objects.size(), 3U);
  EXPECT_EQ(page->objects[0].id, (ObjectId{.store = "https://store",
                                           .bucket = "b",
                                           .key = "p/a b+\n",
                                           .etag = "599bab",
                                           .size = 9223372036854775807U,
                                           .version_id = {},
                                           .last_modified = *ParseIsoDate("2013-09-17T18:07:53.500Z")}));
  EXPECT_FALSE(page->objects[0].archived);
  EXPECT_EQ(page->objects[1].id.etag, "W/x");
  EXPECT_TRUE(page->objects[1].archived);
  EXPECT_FALSE(page->objects[2].archived) << "it was restored";
  EXPECT_EQ(page->common_prefixes, std::vector<std::string>{"p/sub+dir/"});
  EXPECT_TRUE(page->truncated);
  EXPECT_EQ(page->next_token, "t 2+");
}

TEST(ListPage, DecodesOnlyWhatSaysItIsEncoded) {
  const std::string body =
      Page(fmt::format("{}<Contents><Key>a+b%2B</Key><Size>1</Size><ETag>e</ETag></Contents>", kWhole));
  const Result<ListPage> page = ParseListPage(body, AskedFor(""), "s");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.at(0).id.key, "a+b%2B");
}

TEST(ListPage, RefusesWhatCouldHideNames) {
  const auto object = [](std::string_view key, std::string_view size) {
    return fmt::format("{}<Contents><Key>{}</Key><Size>{}</Size><ETag>e</ETag></Contents>", kWhole, key, size);
  };
  const std::string bad[] = {
      "",
      "<html><body>Log in</body></html>",
      "<Error><Code>NoSuchKey</Code></Error>",
      Page(kWhole).substr(0, 120),
      Page(""),
      Page("<IsTruncated>true</IsTruncated>"),
      Page("<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"),
      Page(fmt::format("<Prefix>other/</Prefix>{}", kWhole)),
      Page(object("elsewhere", "1")),
      Page(object("", "1")),
      Page(object("p/a", "-1")),
      Page(object("p/a", "9223372036854775808")),
      Page(object("p/a", "")),
      Page(object("p/a", "1 ")),
      Page(fmt::format("<EncodingType>url</EncodingType>{}", object("p/%zz", "1"))),
      Page(fmt::format("{}<Contents><Key>p/a</Key><Size>1</Size><ETag>a&#13;&#10;X: y</ETag></Contents>", kWhole)),
      Page(fmt::format("{}<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>", kWhole)),
      Page(fmt::format("{}<CommonPrefixes><Prefix>p/a</Prefix></CommonPrefixes>", kWhole)),
  };
  for (const std::string& body : bad) {
    const Result<ListPage> page = ParseListPage(body, AskedFor("p/", "/", "same"), "s");
    ASSERT_FALSE(page) << body;
    EXPECT_EQ(page.error().code, ErrorCode::kBadResponse) << body;
  }
}

Failure Refusal(int status, std::string_view body, std::vector<HttpHeader> headers = {}, bool has_body = true) {
  const HttpResponse response{status, std::move(headers)};
  return FailureOfAnswer({.response = response, .body = body, .subject = "GET s3://b/k", .has_body = has_body});
}

std::string Document(std::string_view code, std::string_view more = "") {
  return fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>told</Message>{}</Error>", code, more);
}

TEST(ErrorDocument, DecidesWhatTheCallerDoesNext) {
  struct Row {
    int status;
    std::string code;
    ErrorCode error;
    Remedy remedy;
  };
  const Row rows[] = {{404, "NoSuchKey", ErrorCode::kNotFound, Remedy::kNone},
                      {404, "NoSuchBucket", ErrorCode::kMisconfigured, Remedy::kNone},
                      {403, "AccessDenied", ErrorCode::kDenied, Remedy::kNone},
                      {403, "InvalidAccessKeyId", ErrorCode::kCredentials, Remedy::kNewCredentials},
                      {403, "SignatureDoesNotMatch", ErrorCode::kCredentials, Remedy::kNewCredentials},
                      {400, "ExpiredToken", ErrorCode::kCredentials, Remedy::kNewCredentials},
                      {403, "RequestTimeTooSkewed", ErrorCode::kMisconfigured, Remedy::kSetClock},
                      {403, "InvalidObjectState", ErrorCode::kArchived, Remedy::kNone},
                      {412, "PreconditionFailed", ErrorCode::kVersionGone, Remedy::kNone},
                      {416, "InvalidRange", ErrorCode::kVersionGone, Remedy::kNone},
                      {503, "SlowDown", ErrorCode::kThrottled, Remedy::kSlowDown},
                      {429, "Whatever", ErrorCode::kThrottled, Remedy::kSlowDown},
                      {503, "ServiceUnavailable", ErrorCode::kUnavailable, Remedy::kRetry},
                      {500, "InternalError", ErrorCode::kUnavailable, Remedy::kRetry},
                      {500, "NoSuchKey", ErrorCode::kUnavailable, Remedy::kRetry},
                      {400, "SomethingNew", ErrorCode::kBadResponse, Remedy::kNone}};
  for (const Row& row : rows) {
    const Failure failure = Refusal(row.status, Document(row.code));
    EXPECT_EQ(ErrorCodeName(failure.error.code), ErrorCodeName(row.error)) << row.code;
    EXPECT_EQ(failure.remedy, row.remedy) << row.code;
    EXPECT_NE(failure.error.message.find(row.code), std::string::npos);
  }
}

TEST(ErrorDocument, APageOfAProxyIsNoAnswerOfTheStore) {
  for (const int status : {302, 403, 404, 400}) {
    const Failure failure = Refusal(status, "<html>Please log in</html>", {{"Location", "http://portal"}});
    EXPECT_EQ(failure.error.code, ErrorCode::kBadResponse) << status;
    EXPECT_EQ(failure.remedy, Remedy::kRetry) << status;
  }
  EXPECT_EQ(Refusal(502, "<html>Bad gateway</html>").error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(Refusal(404, "", {}, false).error.code, ErrorCode::kNotFound) << "HEAD; the store object asks further";
}

TEST(ErrorDocument, RedirectsNameTheRegion) {
  const Failure head = Refusal(301, "", {{"x-amz-bucket-region", "eu-west-3"}}, false);
  EXPECT_EQ(head.error.code, ErrorCode::kMisconfigured);
  EXPECT_NE(head.error.message.find("--region eu-west-3"), std::string::npos) << head.error.message;
  const Failure get = Refusal(301, Document("PermanentRedirect", "<Endpoint>b.s3.eu-west-3.amazonaws.com</Endpoint>"));
  EXPECT_EQ(get.error.code, ErrorCode::kMisconfigured);
  EXPECT_NE(get.error.message.find("b.s3.eu-west-3.amazonaws.com"), std::string::npos) << get.error.message;
  const Failure malformed = Refusal(400, Document("AuthorizationHeaderMalformed", "<Region>gra</Region>"));
  EXPECT_EQ(malformed.error.code, ErrorCode::kMisconfigured);
  EXPECT_NE(malformed.error.message.find("--region gra"), std::string::npos) << malformed.error.message;
}

TEST(ErrorDocument, CarriesTheTimesOfItsHeaders) {
  const Failure failure =
      Refusal(503, Document("SlowDown"), {{"Retry-After", "7"}, {"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}});
  EXPECT_EQ(failure.retry_after, std::chrono::seconds(7));
  EXPECT_EQ(failure.store_time, ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_EQ(Refusal(503, "", {{"Retry-After", "99999999999999"}}).retry_after, std::chrono::hours(1));
  EXPECT_EQ(Refusal(503, "", {{"Retry-After", "soon"}}).retry_after, std::nullopt);
}

TEST(ContentRange, IsReadStrictly) {
  const std::optional<ContentRange> range = ParseContentRange("bytes 5-9/20");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->range, (ByteRange{5, 5}));
  EXPECT_EQ(range->total, 20U);
  for (const char* bad : {"", "bytes 5-9", "bytes 5-9/*", "bytes */20", "bytes 9-5/20", "bytes 5-20/20", "5-9/20",
                          "bytes 5-9/20 ", "bytes -9/20"}) {
    EXPECT_FALSE(ParseContentRange(bad)) << bad;
  }
}

TEST(HeadAnswer, NeedsASizeAndAVersion) {
  const auto read = [](std::vector<HttpHeader> headers) {
    return ReadHeadAnswer({200, std::move(headers)},
                          {.store = "s", .bucket = "b", .key = "k", .etag = {}, .version_id = {}});
  };
  const Result<ObjectMetadata> object = read({{"content-length", "12"},
                                              {"etag", "\"abc\""},
                                              {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                              {"x-amz-version-id", "v1"},
                                              {"x-amz-storage-class", "DEEP_ARCHIVE"}});
  ASSERT_TRUE(object);
  EXPECT_EQ(object->id.size, 12U);
  EXPECT_EQ(object->id.etag, "abc");
  EXPECT_EQ(object->id.version_id, "v1");
  EXPECT_EQ(object->last_modified, *ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_TRUE(object->archived);
  EXPECT_FALSE(read({{"Content-Length", "1"},
                     {"ETag", "\"a\""},
                     {"x-amz-version-id", "null"},
                     {"x-amz-storage-class", "GLACIER"},
                     {"x-amz-restore", "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2032 00:00:00 GMT\""}})
                   ->archived);
  EXPECT_EQ(read({{"ETag", "\"a\""}}).error().code, ErrorCode::kBadResponse);
  EXPECT_EQ(read({{"ETag", "\"a\""}, {"Content-Length", "-1"}}).error().code, ErrorCode::kBadResponse);
  EXPECT_EQ(read({{"Content-Length", "1"}}).error().code, ErrorCode::kBadResponse);
}

}  // namespace
}  // namespace s3overlay::s3
