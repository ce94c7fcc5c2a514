// SPDX-License-Identifier: Apache-2.0
//
// S3Store over scripted answers: which answers count, which are asked for again, and what the others become.
#include "s3/s3_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "s3/dates.h"
#include "support/fake_clock.h"
#include "support/scripted_transport.h"

namespace s3overlay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeClock;
using testing::ScriptedAnswer;
using testing::ScriptedTransport;
using testing::TransportError;

// Moves the clock instead of sleeping.
class FakePacer final : public s3::Pacer {
 public:
  FakePacer(FakeClock& clock, std::vector<Duration>& waits) : clock_(clock), waits_(waits) {}
  double Random() override { return 0.5; }
  void Wait(Duration duration, const CallContext&) override {
    waits_.push_back(duration);
    clock_.Advance(duration);
  }

 private:
  FakeClock& clock_;
  std::vector<Duration>& waits_;
};

class FakeCredentials final : public CredentialProvider {
 public:
  Result<std::optional<Credentials>> Get(const CallContext&) override {
    if (keys.empty()) return std::optional<Credentials>();
    return std::optional(Credentials{keys.front(), "secret", {}, {}, "test"});
  }
  void Refused(const Credentials&) override {
    if (keys.size() > 1) keys.pop_front();
  }
  std::deque<std::string> keys = {"KEYNUMBERONE", "KEYNUMBERTWO"};
};

ScriptedAnswer Refusal(int status, std::string_view code, std::vector<HttpHeader> headers = {}) {
  return {.status = status,
          .headers = std::move(headers),
          .pieces = {fmt::format("<Error><Code>{}</Code><Message>m</Message></Error>", code)}};
}

ScriptedAnswer HeadStatus(int status) { return {.status = status}; }

ScriptedAnswer HeadFound(std::string_view etag = "abc", uint64_t size = 10) {
  return {.status = 200, .headers = {{"Content-Length", std::to_string(size)}, {"ETag", fmt::format("\"{}\"", etag)}}};
}

ScriptedAnswer Listing(std::string_view key = "") {
  const std::string object =
      key.empty() ? "" : fmt::format("<Contents><Key>{}</Key><Size>1</Size><ETag>e</ETag></Contents>", key);
  return {.pieces = {fmt::format("<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>", object)}};
}

// Bytes [offset, offset + body.size()) of a 10-byte object "abc".
ScriptedAnswer Part(uint64_t offset, std::vector<std::string> pieces, uint64_t size) {
  return {.status = 206,
          .headers = {{"Content-Range", fmt::format("bytes {}-{}/10", offset, offset + size - 1)},
                      {"Content-Length", std::to_string(size)},
                      {"ETag", "\"abc\""}},
          .pieces = std::move(pieces)};
}

ScriptedAnswer With(ScriptedAnswer answer, std::string_view name, std::string_view value) {
  std::erase_if(answer.headers, [&](const HttpHeader& header) { return header.name == name; });
  if (!value.empty()) answer.headers.push_back({std::string(name), std::string(value)});
  return answer;
}

class S3StoreTest : public ::testing::Test {
 protected:
  S3StoreTest()
      : store_({.endpoint = "http://127.0.0.1:9000/"}, transport_, credentials_, clock_, metrics_,
               std::make_unique<FakePacer>(clock_, waits_)) {
    context_.deadline = Deadline::After(clock_, seconds(30));
  }

  Result<ObjectMetadata> Head() { return store_.Head("b", "k", context_); }
  ErrorCode HeadError() {
    const Result<ObjectMetadata> head = Head();
    return head ? ErrorCode::kSystem : head.error().code;
  }
  Result<void> Get(ByteRange range) {
    received_.clear();
    return store_.GetRange(
        object_, range,
        [this, range](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
          EXPECT_EQ(offset, range.offset + received_.size());
          received_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return {};
        },
        context_);
  }
  // One answer, no retries.
  ErrorCode GetError(ScriptedAnswer answer, ByteRange range = {2, 4}) {
    context_.max_retries = 0;
    transport_.Then(std::move(answer));
    const Result<void> done = Get(range);
    EXPECT_EQ(received_, done ? "cdef" : "") << "no byte of a refused answer reaches the sink";
    return done ? ErrorCode::kSystem : done.error().code;
  }
  std::string HeaderSent(size_t request, std::string_view name) const {
    const std::vector<HttpRequest> requests = transport_.requests();
    for (const HttpHeader& header : requests.at(request).headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }

  FakeClock clock_;
  Metrics metrics_;
  std::vector<Duration> waits_;
  ScriptedTransport transport_;
  FakeCredentials credentials_;
  S3Store store_;
  CallContext context_;
  std::string received_;
  ObjectId object_{.store = "http://127.0.0.1:9000",
                   .bucket = "b",
                   .key = "k",
                   .etag = "abc",
                   .size = 10,
                   .version_id = {},
                   .last_modified = *s3::ParseIsoDate("2024-01-02T03:04:05.678Z")};
};

using S3StoreGet = S3StoreTest;
using S3StoreHead = S3StoreTest;
using S3StoreRetry = S3StoreTest;

TEST_F(S3StoreGet, DeliversExactlyTheRangeOfThePinnedVersion) {
  transport_.Then(Part(2, {"cd", "", "ef"}, 4));
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(received_, "cdef");
  EXPECT_EQ(transport_.requests().at(0).url, "http://127.0.0.1:9000/b/k");
  EXPECT_EQ(HeaderSent(0, "Range"), "bytes=2-5");
  EXPECT_EQ(HeaderSent(0, "If-Match"), "\"abc\"");
  EXPECT_EQ(metrics_.Get(Metric::kS3BytesReceived), 4U);
}

TEST_F(S3StoreGet, AVersionThatWasOverwrittenIsReadByTheIdThatTheStoreGaveIt) {
  transport_.Then(With(Part(0, {"ab"}, 2), "x-amz-version-id", "v/1"));
  ASSERT_TRUE(Get({0, 2}));
  transport_.Then(Refusal(412, "PreconditionFailed"));
  transport_.Then(With(Part(2, {"cdef"}, 4), "x-amz-version-id", "v/1"));
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(received_, "cdef");
  EXPECT_EQ(transport_.requests().at(1).url, "http://127.0.0.1:9000/b/k");
  EXPECT_EQ(transport_.requests().at(2).url, "http://127.0.0.1:9000/b/k?versionId=v%2F1");
  EXPECT_EQ(HeaderSent(2, "If-Match"), "\"abc\"");
  transport_.Then(Part(6, {"gh"}, 2));
  ASSERT_TRUE(Get({6, 2}));
  EXPECT_EQ(transport_.requests().at(3).url, "http://127.0.0.1:9000/b/k?versionId=v%2F1") << "no detour from then on";
  EXPECT_TRUE(waits_.empty());
}

TEST_F(S3StoreGet, AVersionThatWasDeletedIsReadByTheIdOfItsHead) {
  object_.version_id = "v1";
  transport_.Then(Refusal(404, "NoSuchKey"));
  transport_.Then(Part(2, {"cdef"}, 4));
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(transport_.requests().at(1).url, "http://127.0.0.1:9000/b/k?versionId=v1");
}

TEST_F(S3StoreGet, AnOlderVersionThatIsGoneOrNotToBeReadIsGone) {
  object_.version_id = "v1";
  for (const auto& [status, code] : std::map<int, std::string>{{403, "AccessDenied"}, {404, "NoSuchVersion"}}) {
    transport_.Then(Refusal(412, "PreconditionFailed"));
    EXPECT_EQ(GetError(Refusal(status, code)), ErrorCode::kVersionGone) << code;
  }
}

// It is a 403 of the current object where the bucket may not be listed.
TEST_F(S3StoreGet, ADeletedVersionIsReadByItsIdAlsoWhereNothingMayBeListed) {
  object_.version_id = "v1";
  transport_.Then(Refusal(403, "AccessDenied"));
  transport_.Then(With(Part(2, {"cdef"}, 4), "x-amz-version-id", "v1"));
  EXPECT_TRUE(Get({2, 4}));
  transport_.Then(Refusal(403, "AccessDenied"));  // By the id that was good.
  EXPECT_EQ(GetError(Refusal(403, "AccessDenied")), ErrorCode::kDenied) << "nothing is to be read any more";
}

// As when somebody copies the old version back, and the old one goes in time.
TEST_F(S3StoreGet, BytesThatWerePutAgainAreReadAsTheCurrentObject) {
  object_.version_id = "v1";
  transport_.Then(Refusal(412, "PreconditionFailed"));
  transport_.Then(With(Part(0, {"ab"}, 2), "x-amz-version-id", "v1"));
  ASSERT_TRUE(Get({0, 2}));
  transport_.Then(Refusal(404, "NoSuchVersion"));
  transport_.Then(With(Part(2, {"cdef"}, 4), "x-amz-version-id", "v3"));
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(transport_.requests().at(3).url, "http://127.0.0.1:9000/b/k");
  transport_.Then(Part(6, {"gh"}, 2));
  ASSERT_TRUE(Get({6, 2}));
  EXPECT_EQ(transport_.requests().at(4).url, "http://127.0.0.1:9000/b/k") << "and from then on at once";
}

TEST_F(S3StoreGet, WhatComesByAnIdIsHeldToThePinnedVersionToo) {
  object_.version_id = "v1";
  transport_.Then(Refusal(412, "PreconditionFailed"));
  EXPECT_EQ(GetError(With(Part(2, {"cdef"}, 4), "ETag", "\"other\"")), ErrorCode::kVersionGone);
}

TEST_F(S3StoreGet, RefusesAnswersThatAreNotTheRange) {
  const ScriptedAnswer good = Part(2, {"cdef"}, 4);
  EXPECT_EQ(GetError(good), ErrorCode::kSystem) << "the untouched answer is fine";
  EXPECT_EQ(GetError(Part(3, {"defg"}, 4)), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(Part(2, {"cdefg"}, 5)), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(With(good, "Content-Range", "")), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(With(good, "Content-Range", "bytes 2-5/*")), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(With(good, "Content-Length", "5")), ErrorCode::kBadResponse);
  EXPECT_EQ(
      GetError({.status = 200, .headers = {{"Content-Length", "10"}, {"ETag", "\"abc\""}}, .pieces = {"abcdefghij"}}),
      ErrorCode::kBadResponse);
  EXPECT_EQ(GetError({.status = 204}), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError({.status = 404, .pieces = {"<html>cdef</html>"}}), ErrorCode::kBadResponse);
  EXPECT_GE(metrics_.Get(Metric::kS3BadResponses), 8U);
}

TEST_F(S3StoreGet, CountsTheBytes) {
  context_.max_retries = 0;
  transport_.Then(Part(2, {"cd"}, 4));
  EXPECT_EQ(Get({2, 4}).error().code, ErrorCode::kBadResponse);
  EXPECT_EQ(received_, "cd") << "a right prefix may have been delivered";
  transport_.Then(Part(2, {"cdef", "g"}, 4));
  EXPECT_EQ(Get({2, 4}).error().code, ErrorCode::kBadResponse);
  EXPECT_EQ(received_, "cdef");
}

TEST_F(S3StoreGet, EndsWithTheLastByte) {
  ScriptedAnswer answer = Part(2, {"cdef"}, 4);
  answer.error_at_end = Error{ErrorCode::kUnavailable, "reset after the end"};
  transport_.Then(answer);
  EXPECT_TRUE(Get({2, 4}));
  EXPECT_EQ(received_, "cdef");
  transport_.Then(Part(2, {"cdef", "g"}, 4));
  EXPECT_EQ(Get({2, 4}).error().code, ErrorCode::kBadResponse);
  EXPECT_EQ(transport_.requests().size(), 2U) << "nothing is left to ask for";
}

TEST_F(S3StoreGet, AcceptsTheWholeObjectOnlyWhereItWasAskedFor) {
  const ScriptedAnswer whole{
      .status = 200, .headers = {{"Content-Length", "10"}, {"ETag", "\"abc\""}}, .pieces = {"abcdefghij"}};
  transport_.Then(whole);
  ASSERT_TRUE(Get({0, 10}));
  EXPECT_EQ(received_, "abcdefghij");
  EXPECT_EQ(GetError(With(whole, "Content-Length", ""), {0, 10}), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(With(whole, "Content-Length", "11"), {0, 10}), ErrorCode::kVersionGone);
}

TEST_F(S3StoreGet, TellsAnotherVersion) {
  const ScriptedAnswer good = Part(2, {"cdef"}, 4);
  EXPECT_EQ(GetError(With(good, "ETag", "\"xyz\"")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(With(good, "ETag", "")), ErrorCode::kBadResponse) << "a page that is as long as the object";
  EXPECT_EQ(GetError(With(good, "Content-Range", "bytes 2-5/11")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(Refusal(412, "PreconditionFailed")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(Refusal(416, "InvalidRange")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(Refusal(404, "NoSuchKey")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(Refusal(404, "NoSuchVersion")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(Refusal(404, "NoSuchBucket")), ErrorCode::kMisconfigured);
  EXPECT_EQ(GetError(Refusal(403, "InvalidObjectState")), ErrorCode::kArchived);
}

TEST_F(S3StoreGet, AWeakPinIsHeldToDateAndSize) {
  object_.etag = "W/abc";
  const ScriptedAnswer good =
      With(With(Part(2, {"cdef"}, 4), "ETag", "W/\"abc\""), "Last-Modified", "Tue, 02 Jan 2024 03:04:05 GMT");
  EXPECT_EQ(GetError(good), ErrorCode::kSystem);
  EXPECT_EQ(HeaderSent(0, "If-Match"), "") << "it would never match";
  EXPECT_EQ(GetError(With(good, "Last-Modified", "Tue, 02 Jan 2024 03:04:06 GMT")), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(With(good, "Last-Modified", "")), ErrorCode::kBadResponse);
  EXPECT_EQ(GetError(With(good, "ETag", "W/\"other\"")), ErrorCode::kVersionGone);
}

TEST_F(S3StoreGet, ResumesACutTransferAtTheNextByte) {
  ScriptedAnswer cut = Part(2, {"c", "d"}, 4);
  cut.error_at_end = Error{ErrorCode::kUnavailable, "cut"};
  transport_.Then(cut).Then(Part(4, {"ef"}, 2));
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(received_, "cdef");
  EXPECT_EQ(HeaderSent(1, "Range"), "bytes=4-5");
  EXPECT_EQ(metrics_.Get(Metric::kS3Retries), 1U);
}

TEST_F(S3StoreGet, ASinksErrorIsTheResult) {
  transport_.Then(Part(2, {"cdef"}, 4));
  const auto sink = [](uint64_t, std::span<const std::byte>) -> Result<void> {
    return Error{ErrorCode::kUnavailable, "the sink's own"};
  };
  const Result<void> done = store_.GetRange(object_, {2, 4}, sink, context_);
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(transport_.requests().size(), 1U);
}

TEST_F(S3StoreGet, RangesOutsideTheObjectAreNotSent) {
  for (const ByteRange range : {ByteRange{0, 0}, ByteRange{5, 6}, ByteRange{11, 1}, ByteRange{1, ~0ULL}}) {
    EXPECT_EQ(Get(range).error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(S3StoreHead, FindsAnObject) {
  transport_.Then(HeadFound());
  const Result<ObjectMetadata> head = Head();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->id.store, store_.url());
  EXPECT_EQ(head->id.etag, "abc");
  EXPECT_EQ(metrics_.Get(Metric::kS3Heads), 1U);
}

TEST_F(S3StoreHead, A404NeedsProofOfTheBucket) {
  transport_.Then(HeadStatus(404)).Then(Listing());
  EXPECT_EQ(HeadError(), ErrorCode::kNotFound);
  EXPECT_NE(transport_.requests().at(1).url.find("max-keys=1"), std::string::npos);
  transport_.Then(HeadStatus(404));
  EXPECT_EQ(HeadError(), ErrorCode::kNotFound) << "proven a moment ago: no second list";
  EXPECT_EQ(transport_.requests().size(), 3U);

  clock_.Advance(seconds(61));
  context_.deadline = Deadline::After(clock_, seconds(30));
  transport_.Then(HeadStatus(404)).Then(Refusal(404, "NoSuchBucket"));
  EXPECT_EQ(HeadError(), ErrorCode::kMisconfigured);
  context_.max_retries = 0;
  transport_.Then(HeadStatus(404)).Then({.status = 404, .pieces = {"<html></html>"}});
  EXPECT_EQ(HeadError(), ErrorCode::kBadResponse);
  transport_.Then(HeadStatus(404)).Then(TransportError(ErrorCode::kUnavailable));
  EXPECT_EQ(HeadError(), ErrorCode::kUnavailable);
}

TEST_F(S3StoreHead, A404WhereListsAreDeniedIsProvenByAGet) {
  transport_.Then(HeadStatus(404)).Then(Refusal(403, "AccessDenied")).Then(Refusal(404, "NoSuchKey"));
  EXPECT_EQ(HeadError(), ErrorCode::kNotFound);
  clock_.Advance(seconds(61));
  context_.deadline = Deadline::After(clock_, seconds(30));
  transport_.Then(HeadStatus(404)).Then(Refusal(403, "AccessDenied")).Then(Part(0, {"a"}, 1));
  EXPECT_EQ(HeadError(), ErrorCode::kBadResponse) << "HEAD and GET contradict each other";
}

TEST_F(S3StoreHead, A403IsClassifiedByAList) {
  transport_.Then(HeadStatus(403)).Then(Listing());
  EXPECT_EQ(HeadError(), ErrorCode::kNotFound);
  transport_.Then(HeadStatus(403)).Then(Listing("k"));
  EXPECT_EQ(HeadError(), ErrorCode::kDenied);
  transport_.Then(HeadStatus(403)).Then(Listing("k2"));
  EXPECT_EQ(HeadError(), ErrorCode::kNotFound) << "another key that it is a prefix of";
  transport_.Then(HeadStatus(403)).Then(Refusal(403, "AccessDenied"));
  EXPECT_EQ(HeadError(), ErrorCode::kDenied);
  credentials_.keys = {"ONLYONE"};
  transport_.Then(HeadStatus(403)).Then(Refusal(403, "SignatureDoesNotMatch"));
  EXPECT_EQ(HeadError(), ErrorCode::kCredentials);
}

TEST_F(S3StoreHead, IsAskedAgainOnceTheListHasSetTheClock) {
  transport_.Then(HeadStatus(403))
      .Then(Refusal(403, "RequestTimeTooSkewed", {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}}))
      .Then(Listing("k"))
      .Then(HeadFound());
  EXPECT_TRUE(Head());
  EXPECT_EQ(HeaderSent(3, "x-amz-date"), "19941106T084937Z");
}

TEST_F(S3StoreHead, CredentialsThatExpiredAreRenewedOnce) {
  transport_.Then(HeadStatus(400)).Then(Refusal(400, "ExpiredToken")).Then(Listing("k")).Then(HeadFound());
  EXPECT_TRUE(Head());
  EXPECT_NE(HeaderSent(1, "Authorization").find("KEYNUMBERONE"), std::string::npos);
  EXPECT_NE(HeaderSent(3, "Authorization").find("KEYNUMBERTWO"), std::string::npos);
}

TEST_F(S3StoreRetry, WithinTheBudgetAndNoFurther) {
  for (int i = 0; i < 3; ++i) transport_.Then(TransportError(ErrorCode::kUnavailable));
  context_.max_retries = 2;
  EXPECT_EQ(HeadError(), ErrorCode::kUnavailable);
  EXPECT_EQ(waits_, (std::vector<Duration>{milliseconds(50), milliseconds(100)}));
  EXPECT_EQ(metrics_.Get(Metric::kS3Errors), 1U);
}

TEST_F(S3StoreRetry, ThrottlingIsWaitedOutUntilTheDeadline) {
  context_.max_retries = 0;
  transport_.Then(Refusal(503, "SlowDown", {{"Retry-After", "20"}}))
      .Then(Refusal(503, "SlowDown", {{"Retry-After", "20"}}));
  EXPECT_EQ(
      store_.List({.bucket = "b", .prefix = {}, .delimiter = {}, .continuation_token = {}, .start_after = {}}, context_)
          .error()
          .code,
      ErrorCode::kThrottled);
  EXPECT_EQ(waits_, (std::vector<Duration>{seconds(20), seconds(10)}));
}

TEST_F(S3StoreRetry, AListTellsWhetherAHeads503IsThrottling) {
  context_.max_retries = 0;
  transport_.Then(HeadStatus(503)).Then(Refusal(503, "SlowDown", {{"Retry-After", "3"}})).Then(HeadFound());
  EXPECT_TRUE(Head());
  EXPECT_EQ(waits_, std::vector<Duration>{seconds(3)});
  transport_.Then(HeadStatus(503)).Then({.status = 503, .pieces = {"<html></html>"}});
  EXPECT_EQ(HeadError(), ErrorCode::kUnavailable);
}

TEST_F(S3StoreRetry, TheDeadlineAndACancellationEndIt) {
  transport_.Then({.status = 500, .before_answer = [this] { clock_.Advance(seconds(31)); }});
  const Result<ObjectMetadata> head = Head();
  EXPECT_EQ(head.error().code, ErrorCode::kUnavailable) << "nothing fits before the deadline any more";
  EXPECT_EQ(HeadError(), ErrorCode::kTimedOut);
  std::atomic<bool> cancelled = true;
  context_.cancelled = &cancelled;
  EXPECT_EQ(HeadError(), ErrorCode::kCancelled);
  EXPECT_EQ(transport_.requests().size(), 1U);
}

TEST_F(S3StoreRetry, ASlowPacerNoticesACancellation) {
  std::atomic<bool> cancelled = true;
  CallContext context;
  context.cancelled = &cancelled;
  const SystemClock clock;
  s3::SleepingPacer pacer(clock);
  pacer.Wait(std::chrono::hours(100), context);
  context.cancelled = nullptr;
  context.deadline = Deadline::At(clock.Now());
  pacer.Wait(std::chrono::hours(100), context);
  for (int i = 0; i < 1000; ++i) {
    const double random = pacer.Random();
    ASSERT_TRUE(random >= 0 && random < 1);
  }
}

TEST_F(S3StoreRetry, AnonymousRequestsAreNotSigned) {
  credentials_.keys.clear();
  transport_.Then(HeadFound());
  EXPECT_TRUE(Head());
  EXPECT_EQ(HeaderSent(0, "Authorization"), "");
  transport_.Then(HeadStatus(403)).Then(Refusal(403, "AccessDenied"));
  EXPECT_NE(Head().error().message.find("not signed"), std::string::npos);
}

TEST_F(S3StoreTest, ListsAskForAllThatTheyNeed) {
  transport_.Then(
      {.pieces = {"<ListBucketResult><Prefix>p/ </Prefix><IsTruncated>fal", "se</IsTruncated></ListBucketResult>"}});
  const Result<ListPage> page = store_.List({.bucket = "b",
                                             .prefix = "p/ ",
                                             .delimiter = "/",
                                             .continuation_token = "t+",
                                             .start_after = "p/ a",
                                             .max_keys = 7},
                                            context_);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(transport_.requests().at(0).url,
            "http://127.0.0.1:9000/b?list-type=2&encoding-type=url&max-keys=7&prefix=p%2F%20&delimiter=%2F"
            "&continuation-token=t%2B&start-after=p%2F%20a");
}

TEST_F(S3StoreTest, AListThatIsCutIsAskedForAgain) {
  transport_.Then({.pieces = {"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"}}).Then(Listing("a"));
  const Result<ListPage> page = store_.List(
      {.bucket = "b", .prefix = {}, .delimiter = {}, .continuation_token = {}, .start_after = {}}, context_);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.size(), 1U);
}

}  // namespace
}  // namespace s3overlay
