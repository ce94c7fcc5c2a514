// SPDX-License-Identifier: Apache-2.0
#include "s3/s3_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "s3/ranged_get.h"
#include "s3/response_check.h"
#include "s3/wire_format.h"

namespace s3overlay {

using s3::Failure;
using s3::StoreRequest;

namespace {

// 1,000 keys of 1,024 bytes, three characters a byte, are 3 MiB.
constexpr size_t kListLimit = 16 * 1024 * 1024;
constexpr size_t kVersionsKept = 4096;  // Of objects read, where the store has versions: some megabytes at most.

std::string UrlOf(const std::string& endpoint) {
  const Result<std::string> normalized = NormalizeEndpoint(endpoint);
  return normalized ? *normalized : endpoint;
}

StoreRequest HeadRequest(const std::string& bucket, const std::string& key) {
  StoreRequest request{.method = "HEAD", .bucket = bucket, .key = key};
  request.metric = Metric::kS3Heads;
  request.subject = fmt::format("HEAD s3://{}/{}", bucket, key);
  return request;
}

StoreRequest MakeListRequest(const ListRequest& list) {
  StoreRequest request{.bucket = list.bucket};
  request.metric = Metric::kS3Lists;
  request.subject = fmt::format("LIST s3://{}/{}", list.bucket, list.prefix);
  request.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", std::to_string(list.max_keys)}};
  request.query.emplace_back("prefix", list.prefix);
  if (!list.delimiter.empty()) request.query.emplace_back("delimiter", list.delimiter);
  if (!list.continuation_token.empty()) request.query.emplace_back("continuation-token", list.continuation_token);
  if (!list.start_after.empty()) request.query.emplace_back("start-after", list.start_after);
  // Tells restored objects of an archive class apart without a HEAD each; stores that do not know it ignore it.
  request.headers.push_back({"x-amz-optional-object-attributes", "RestoreStatus"});
  return request;
}

ListRequest FirstBelow(const std::string& bucket, const std::string& prefix) {
  ListRequest request;
  request.bucket = bucket;
  request.prefix = prefix;
  request.max_keys = 1;
  return request;
}

Result<void> CheckKey(const std::string& key) {
  if (!key.empty()) return {};
  return Error{ErrorCode::kInvalidArgument, "the key of the object is empty"};
}

Error NoSuchObject(const std::string& bucket, const std::string& key) {
  return {ErrorCode::kNotFound, fmt::format("s3://{}/{} does not exist", bucket, key)};
}

Failure MissingName(Failure failure) {
  // An empty prefix is an empty list: a LIST that says NoSuchKey is no answer of S3's.
  if (failure.error.code == ErrorCode::kNotFound) failure.error.code = ErrorCode::kBadResponse;
  return failure;
}

}  // namespace

S3Store::S3Store(S3StoreOptions options, HttpTransport& transport, CredentialProvider& credentials, const Clock& clock,
                 Metrics& metrics)
    : S3Store(std::move(options), transport, credentials, clock, metrics, std::make_unique<s3::SleepingPacer>(clock)) {}

S3Store::S3Store(S3StoreOptions options, HttpTransport& transport, CredentialProvider& credentials, const Clock& clock,
                 Metrics& metrics, std::unique_ptr<s3::Pacer> pacer)
    : url_(UrlOf(options.endpoint)),
      metrics_(metrics),
      pacer_(std::move(pacer)),
      sender_(
          {.endpoint = NormalizeEndpoint(options.endpoint), .region = options.region, .addressing = options.addressing},
          transport, credentials, clock, metrics),
      loop_({.max_retries = options.max_retries, .base = options.retry_base, .cap = options.retry_cap}, sender_,
            *pacer_, clock, metrics),
      proof_(options.bucket_proof_ttl, clock),
      versions_(kVersionsKept) {}

Result<ObjectMetadata> S3Store::Head(const std::string& bucket, const std::string& key, const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(CheckKey(key));
  const uint64_t epoch = sender_.signing_epoch();
  Result<ObjectMetadata> answer = HeadOnce(bucket, key, context);
  if (answer) return answer;
  if (answer.error().code == ErrorCode::kNotFound) return ProveAbsence(bucket, key, context);
  if (answer.error().code != ErrorCode::kDenied) return answer;

  // A HEAD has no body that says why. A list does, and the retries of a list may set right what was wrong.
  const Result<bool> listed = IsListed(bucket, key, context);
  if (!listed) return listed.error();
  if (!*listed) return NoSuchObject(bucket, key);
  return sender_.signing_epoch() == epoch ? std::move(answer) : HeadOnce(bucket, key, context);
}

Result<ObjectMetadata> S3Store::HeadOnce(const std::string& bucket, const std::string& key,
                                         const CallContext& context) {
  const StoreRequest request = HeadRequest(bucket, key);
  std::optional<ObjectMetadata> found;
  const auto on_headers = [&](const HttpResponse& response) -> Result<void> {
    Result<ObjectMetadata> read = s3::ReadHeadAnswer(
        response, {.store = url_, .bucket = bucket, .key = key, .etag = {}, .size = 0, .version_id = {}});
    if (!read) return read.error();
    found = *std::move(read);
    return {};
  };
  const s3::RetryLoop::Attempt attempt = [&](int number) -> std::optional<Failure> {
    std::optional<Failure> failure = sender_.Send(request, number, {.on_headers = on_headers, .on_body = {}}, context);
    if (!failure) return std::nullopt;
    return Explain(*std::move(failure), bucket, key, context);
  };
  S3OVERLAY_RETURN_IF_ERROR(loop_.Run(request.subject, context, attempt));
  if (!found) return Error{ErrorCode::kBadResponse, request.subject + ": an answer without headers"};
  proof_.Record(bucket);
  return *std::move(found);
}

// A HEAD has no body that says whether its 503 means "away" or "slow down". A list's has.
Failure S3Store::Explain(Failure failure, const std::string& bucket, const std::string& key,
                         const CallContext& context) {
  if (failure.status != 503) return failure;
  std::optional<Failure> reason = sender_.Send(MakeListRequest(FirstBelow(bucket, key)), 1, {}, context);
  const bool busy = reason && reason->remedy == s3::Remedy::kSlowDown;
  return busy ? *std::move(reason) : std::move(failure);
}

// After a HEAD's 404: is it the store that says no?
Result<ObjectMetadata> S3Store::ProveAbsence(const std::string& bucket, const std::string& key,
                                             const CallContext& context) {
  if (proof_.IsFresh(bucket)) return NoSuchObject(bucket, key);
  const Result<ListPage> page = List(FirstBelow(bucket, ""), context);
  if (page) return NoSuchObject(bucket, key);
  if (page.error().code != ErrorCode::kDenied) return page.error();
  return AskByGet(bucket, key, context);
}

// Credentials that may read but not list: a GET's error document is proof too.
Result<ObjectMetadata> S3Store::AskByGet(const std::string& bucket, const std::string& key,
                                         const CallContext& context) {
  StoreRequest request{.bucket = bucket, .key = key};
  request.subject = fmt::format("GET s3://{}/{} bytes=0-0", bucket, key);
  request.headers.push_back({"Range", "bytes=0-0"});
  const auto stop = [](const HttpResponse&) -> Result<void> {
    return Error{ErrorCode::kVersionGone, "HEAD did not find the object, and GET does"};
  };
  const s3::RetryLoop::Attempt attempt = [&](int number) {
    return sender_.Send(request, number, {.on_headers = stop, .on_body = {}}, context);
  };
  const Result<void> answer = loop_.Run(request.subject, context, attempt);
  if (answer) return Error{ErrorCode::kBadResponse, request.subject + ": an answer without headers"};
  if (answer.error().code == ErrorCode::kNotFound) {
    proof_.Record(bucket);
    return answer.error();
  }
  if (answer.error().code == ErrorCode::kVersionGone) return Error{ErrorCode::kBadResponse, answer.error().message};
  return answer.error();
}

Result<bool> S3Store::IsListed(const std::string& bucket, const std::string& key, const CallContext& context) {
  const Result<ListPage> page = List(FirstBelow(bucket, key), context);
  if (!page) return page.error();
  // In byte order the key itself comes before everything that it is a prefix of.
  return !page->objects.empty() && page->objects.front().id.key == key;
}

Result<ListPage> S3Store::List(const ListRequest& list, const CallContext& context) {
  const StoreRequest request = MakeListRequest(list);
  ListPage page;
  std::string body;
  const auto on_body = [&body](std::span<const std::byte> bytes) -> Result<void> {
    if (bytes.size() > kListLimit - body.size()) return Error{ErrorCode::kBadResponse, "the list is too long"};
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  const s3::RetryLoop::Attempt attempt = [&](int number) -> std::optional<Failure> {
    body.clear();
    std::optional<Failure> failure = sender_.Send(request, number, {.on_headers = {}, .on_body = on_body}, context);
    if (failure) return MissingName(*std::move(failure));
    Result<ListPage> parsed = s3::ParseListPage(body, list, url_);
    if (!parsed) {
      return s3::FailureOfExchange({parsed.error().code, request.subject + ": " + parsed.error().message});
    }
    page = *std::move(parsed);
    return std::nullopt;
  };
  S3OVERLAY_RETURN_IF_ERROR(loop_.Run(request.subject, context, attempt));
  proof_.Record(list.bucket);
  return page;
}

Result<void> S3Store::GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                               const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(CheckKey(object.key));
  if (range.empty() || range.end() < range.offset || range.end() > object.size || !s3::UnquoteEtag(object.etag)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("s3://{}/{}: {} bytes from {} on are no part of it",
                                                          object.bucket, object.key, range.size, range.offset)};
  }
  s3::RangedGet get(object, range, sink, versions_, metrics_);
  const Result<void> done =
      loop_.Run(get.subject(), context, [&](int attempt) { return get.Try(sender_, attempt, context); });
  if (get.was_answered()) proof_.Record(object.bucket);
  return done;
}

}  // namespace s3overlay
