// SPDX-License-Identifier: Apache-2.0
//
// What a store may say to make a reader escape, exhaust itself, or believe something else than it was told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "s3/dates.h"
#include "s3/response_check.h"
#include "s3/s3_store.h"
#include "s3/wire_format.h"
#include "support/fake_clock.h"
#include "support/scripted_transport.h"

namespace s3overlay {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ScriptedAnswer;
using testing::ScriptedTransport;

constexpr std::string_view kSecretToken = "session-token-that-nobody-may-read";

std::string Page(std::string_view inside, std::string_view before = "") {
  return fmt::format(
      R"(<?xml version="1.0"?>{}<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>)", before,
      inside);
}

std::string Object(std::string_view key, std::string_view size = "1", std::string_view etag = "e") {
  return fmt::format("<Contents><Key>{}</Key><Size>{}</Size><ETag>{}</ETag></Contents>", key, size, etag);
}

ListRequest EveryKey() {
  ListRequest request;
  request.bucket = "b";
  return request;
}

Result<ListPage> Parse(std::string_view body) { return s3::ParseListPage(body, EveryKey(), "https://store"); }

std::vector<std::string> KeysIn(std::string_view body) {
  const Result<ListPage> page = Parse(body);
  if (!page) return {"refused: " + page.error().message};
  std::vector<std::string> keys;
  for (const ObjectMetadata& object : page->objects) keys.push_back(object.id.key);
  return keys;
}

bool IsRefused(std::string_view body) {
  const Result<ListPage> page = Parse(body);
  return !page && page.error().code == ErrorCode::kBadResponse;
}

std::string Repeat(std::string_view text, size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

// A name that is cut short is another name: "a" in place of "a\0b" would be an object that does not exist.
TEST(HostileList, ANameIsNeverCutShort) {
  const std::string nul("a\0b", 3);
  EXPECT_THAT(KeysIn(Page(Object("a&#0;b"))), ElementsAre(nul));
  EXPECT_THAT(KeysIn(Page(Object("a&#x0;b"))), ElementsAre(nul));
  EXPECT_THAT(KeysIn(Page("<EncodingType>url</EncodingType>" + Object("a%00b"))), ElementsAre(nul));
  EXPECT_THAT(KeysIn(Page(Object("a<!-- between -->b"))), ElementsAre("ab"));
  EXPECT_THAT(KeysIn(Page(Object("a<![CDATA[&<]]>b"))), ElementsAre("a&<b"));
  EXPECT_TRUE(IsRefused(Page(Object("a<b/>c"))));
  EXPECT_TRUE(IsRefused(Page(Object(nul)))) << "a NUL as it is ends no document, and no name";
}

TEST(HostileList, ReferencesAreXmlsOwn) {
  EXPECT_THAT(KeysIn(Page(Object("&lt;&gt;&amp;&quot;&apos;&#10;&#xE9;&#x20AC;&#x1F600;"))),
              ElementsAre("<>&\"'\n\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  for (const char* key : {"&;", "&", "&unknown;", "&#;", "&#x;", "&#-1;", "&#xD800;", "&#x110000;", "&#4294967343;",
                          "&#18446744073709551663;", "&#1 ;"}) {
    EXPECT_TRUE(IsRefused(Page(Object(key)))) << key;
  }
}

TEST(HostileList, EntityBombsStayUnlit) {
  const std::string bomb =
      "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
      "<!ENTITY f SYSTEM \"file:///etc/passwd\">]>";
  EXPECT_TRUE(IsRefused(Page(Object("&b;"), bomb)));
  EXPECT_TRUE(IsRefused(Page(Object("&f;"), bomb)));
  EXPECT_THAT(KeysIn(Page(Object("a"), bomb)), ElementsAre("a"));
}

// 16 MiB of "<a/>" would be a quarter of a gigabyte of nodes.
TEST(HostileList, MarkupWithoutEndIsRefusedBeforeItTakesMemory) {
  EXPECT_TRUE(IsRefused(Page(Repeat("<a/>", 1'000'000))));
  EXPECT_TRUE(IsRefused(Page("<a" + Repeat(" a=''", 1'000'000) + "/>")));
  EXPECT_TRUE(IsRefused(Page("<a" + Repeat(" a = \"\"", 1'000'000) + "/>")));
  EXPECT_TRUE(IsRefused(Page(Repeat("<a>", 1'000'000) + Repeat("</a>", 1'000'000))));
  EXPECT_TRUE(IsRefused(Page(Repeat("<![CDATA[]]>", 1'000'000))));
  const std::string key = Repeat("=", 1024);
  EXPECT_THAT(KeysIn(Page(Repeat(Object(key), 1000))), ::testing::SizeIs(1000)) << "what a store may well hold";
}

TEST(HostileList, DeepNestingIsParsedWithoutDeepRecursion) {
  const std::string deep = Repeat("<a>", 100'000) + Repeat("</a>", 100'000);
  EXPECT_THAT(KeysIn(Page(deep + Object("a"))), ElementsAre("a"));
  EXPECT_TRUE(IsRefused(Page("<Contents><Key>" + deep + "</Key><Size>1</Size></Contents>")));
}

TEST(HostileList, AFieldStandsThereOnce) {
  EXPECT_TRUE(IsRefused(Page("<IsTruncated>true</IsTruncated>")));
  EXPECT_TRUE(IsRefused(Page("<Contents><Key>a</Key><Key>b</Key><Size>1</Size><ETag>e</ETag></Contents>")));
  EXPECT_TRUE(IsRefused(Page("<Contents><Key>a</Key><Size>1</Size><Size>2</Size><ETag>e</ETag></Contents>")));
  EXPECT_TRUE(IsRefused(Page("<Contents><Key>a</Key><Size>1</Size><ETag>e</ETag><ETag>f</ETag></Contents>")));
}

TEST(HostileList, AnObjectHasASizeAndAVersion) {
  for (const char* size : {"", "-1", "+1", " 1", "1 ", "1e3", "0x10", "9223372036854775808", "18446744073709551616",
                           "99999999999999999999999999", "NaN", "1<b/>"}) {
    EXPECT_TRUE(IsRefused(Page(Object("a", size)))) << size;
  }
  EXPECT_TRUE(IsRefused(Page(Object("a", "1", "&#13;&#10;X-Evil: 1"))));
  EXPECT_TRUE(IsRefused(Page(Object("a", "1", "&#0;"))));
  EXPECT_TRUE(IsRefused(Page(Object("a", "1", Repeat("e", 2000)))));
  EXPECT_TRUE(IsRefused(Page("<Contents><Key>a</Key><Size>1</Size></Contents>"))) << "nothing tells its versions apart";
}

TEST(HostileList, DatesFarAwayAreNone) {
  for (const char* date : {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "now"}) {
    EXPECT_TRUE(
        IsRefused(Page(fmt::format("<Contents><Key>a</Key><Size>1</Size><ETag>e</ETag>"
                                   "<LastModified>{}</LastModified></Contents>",
                                   date))))
        << date;
  }
}

TEST(HostileList, OtherEncodingsAreNoXml) {
  std::string wide;
  for (const char c : Page(Object("a"))) wide += {c, '\0'};
  EXPECT_TRUE(IsRefused(wide));
  EXPECT_TRUE(IsRefused("\xFF\xFE" + wide));
  EXPECT_THAT(KeysIn("\xEF\xBB\xBF" + Page(Object("a"))), ElementsAre("a")) << "a byte order mark is fine";
  EXPECT_THAT(KeysIn(Page(Object("\xC3\x28\xFF"))), ElementsAre("\xC3\x28\xFF")) << "keys are bytes";
}

TEST(HostileList, ATokenThatNeverEndsIsNoWayOn) {
  const auto page = [](size_t size) {
    return fmt::format(
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{}"
        "</NextContinuationToken></ListBucketResult>",
        Repeat("t", size));
  };
  EXPECT_TRUE(IsRefused(page(100'000)));
  EXPECT_TRUE(Parse(page(4000)));
}

TEST(HostileList, WhatIsKeptOfAnObjectIsBounded) {
  const Result<ListPage> page = Parse(
      Page(fmt::format("<Contents><Key>a</Key><Size>1</Size><ETag>e</ETag><StorageClass>{}</StorageClass></Contents>",
                       Repeat("G", 1'000'000))));
  ASSERT_TRUE(page);
  EXPECT_LE(page->objects.at(0).storage_class.size(), 64U);
  const auto head = [](HttpHeader header) {
    return s3::ReadHeadAnswer({200, {{"Content-Length", "1"}, {"ETag", "\"e\""}, std::move(header)}}, {});
  };
  EXPECT_LE(head({"x-amz-storage-class", Repeat("G", 100'000)})->storage_class.size(), 64U);
  EXPECT_FALSE(head({"x-amz-version-id", Repeat("v", 100'000)}));
}

TEST(HostileError, WhatPeopleAreShownIsBounded) {
  const HttpResponse response{400, {{"x-amz-bucket-region", Repeat("r", 100'000)}}};
  const std::string body =
      fmt::format("<Error><Code>{0}</Code><Message>{0}</Message><Endpoint>{0}</Endpoint></Error>", Repeat("x", 20'000));
  const s3::Failure failure = s3::FailureOfAnswer({.response = response, .body = body, .subject = "GET s3://b/k"});
  EXPECT_LT(failure.error.message.size(), 3000U);
}

// Dates as far apart as they can be read: their difference has to fit (UBSan watches).
TEST(HostileError, DatesFarAwayDoNotOverflow) {
  const HttpResponse response{503, {{"Retry-After", "Mon, 01 Jan 1700 00:00:00 GMT"}, {"Date", "x"}}};
  const WallTime now = *s3::ParseIsoDate("2100-01-01T00:00:00Z");
  EXPECT_EQ(s3::FailureOfAnswer({.response = response, .body = "", .subject = "s", .now = now}).retry_after,
            std::nullopt);
  const HttpResponse late{503, {{"Retry-After", "Wed, 01 Jan 2200 00:00:00 GMT"}}};
  EXPECT_EQ(s3::FailureOfAnswer({.response = late, .body = "", .subject = "s", .now = {}}).retry_after,
            std::chrono::hours(1));
}

TEST(HostileHeaders, AWeakPinWithoutADateNeedsItsEtag) {
  ObjectId pinned{.store = "s", .bucket = "b", .key = "k", .etag = "W/e", .size = 10, .version_id = {}};
  const auto check = [&](std::vector<HttpHeader> headers) {
    headers.push_back({"Content-Range", "bytes 0-9/10"});
    return s3::CheckRangeAnswer({206, std::move(headers)}, pinned, {0, 10});
  };
  EXPECT_FALSE(check({})) << "these bytes may be of any version";
  EXPECT_FALSE(check({{"ETag", "\"other\""}}));
  EXPECT_TRUE(check({{"ETag", "W/\"e\""}}));
}

TEST(HostileHeaders, ContentRangeIsReadStrictly) {
  for (const char* text :
       {"bytes 0-18446744073709551615/18446744073709551616", "bytes 0-9223372036854775807/1",
        "bytes 9223372036854775807-9223372036854775808/9223372036854775809", "bytes 0-0/0", "bytes  0-1/2",
        "bytes 0-1/2, 3-4/5", "bytes 0--1/2", "bytes 0-1/2/3", "bytes=0-1/2", "BYTES 0-1/2", "bytes 0-1\n/2"}) {
    EXPECT_FALSE(s3::ParseContentRange(text)) << text;
  }
}

class OneCredential final : public CredentialProvider {
 public:
  Result<std::optional<Credentials>> Get(const CallContext&) override {
    return std::optional(Credentials{"KEYNUMBERONE", "secret", std::string(kSecretToken), {}, "test"});
  }
  void Refused(const Credentials&) override {}
};

class NoPacer final : public s3::Pacer {
 public:
  double Random() override { return 0; }
  void Wait(Duration, const CallContext&) override {}
};

class HostileStore : public ::testing::Test {
 protected:
  HostileStore()
      : store_({.endpoint = "http://127.0.0.1:9000"}, transport_, credentials_, clock_, metrics_,
               std::make_unique<NoPacer>()) {
    context_.deadline = Deadline::After(clock_, std::chrono::seconds(30));
    context_.max_retries = 0;
  }

  FakeClock clock_;
  Metrics metrics_;
  ScriptedTransport transport_;
  OneCredential credentials_;
  S3Store store_;
  CallContext context_;
};

// The body is broken off; the status is an answer all the same.
TEST_F(HostileStore, AnErrorDocumentWithoutEndIsCutOff) {
  const std::vector<std::string> endless(10'000, std::string(1000, ' '));
  transport_.Then({.status = 403, .pieces = endless});
  const Result<ListPage> refused = store_.List(EveryKey(), context_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadResponse) << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr("HTTP 403"));

  std::vector<std::string> document = {"<Error><Code>AccessDenied</Code></Error>"};
  document.insert(document.end(), endless.begin(), endless.end());
  transport_.Then({.status = 403, .pieces = document});
  const Result<ListPage> told = store_.List(EveryKey(), context_);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ErrorCode::kDenied) << told.error().message;
}

TEST_F(HostileStore, AListWithoutEndIsCutOff) {
  transport_.Then({.pieces = std::vector<std::string>(32, std::string(1 << 20, ' '))});
  const Result<ListPage> page = store_.List(EveryKey(), context_);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::kBadResponse);
  EXPECT_THAT(page.error().message, HasSubstr("too long"));
}

TEST_F(HostileStore, ARedirectIsNoWayForCredentials) {
  transport_.Then({.status = 307, .headers = {{"Location", "http://elsewhere.example/k"}}});
  const Result<void> got = store_.GetRange(
      {.store = store_.url(), .bucket = "b", .key = "k", .etag = "e", .size = 10, .version_id = {}}, {0, 10},
      [](uint64_t, std::span<const std::byte>) -> Result<void> { return {}; }, context_);
  ASSERT_FALSE(got);
  ASSERT_EQ(transport_.requests().size(), 1U);
  EXPECT_THAT(transport_.requests()[0].url, ::testing::StartsWith("http://127.0.0.1:9000/"));
}

// As debugging proxies do: the request that was refused, in the answer.
TEST_F(HostileStore, WhatWasSignedWithIsNotQuoted) {
  transport_.Then({.status = 403,
                   .pieces = {"<Error><Code>InvalidToken</Code><Message>", Repeat("x", 495), std::string(kSecretToken),
                              "</Message></Error>"}});
  const Result<ListPage> refused = store_.List(EveryKey(), context_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("InvalidToken"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("session-t"))) << "a part of it is too much, too";
  std::string authorization;
  const std::vector<HttpHeader> sent = transport_.requests().at(0).headers;
  for (const HttpHeader& header : sent) {
    if (header.name == "Authorization") authorization = header.value;
  }
  ASSERT_THAT(authorization, HasSubstr("Signature="));
  transport_.Then(
      {.status = 403, .pieces = {"<Error><Code>AccessDenied</Code><Message>", authorization, "</Message></Error>"}});
  const Result<ListPage> again = store_.List(EveryKey(), context_);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, Not(HasSubstr(authorization.substr(authorization.rfind('=') + 1))));
}

}  // namespace
}  // namespace s3overlay
