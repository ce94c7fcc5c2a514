// SPDX-License-Identifier: Apache-2.0
#include "s3/ranged_get.h"

#include <fmt/format.h>

#include <utility>

#include "s3/response_check.h"
#include "s3/wire_format.h"

namespace s3overlay::s3 {
namespace {

std::string RangeText(const ByteRange& range) { return fmt::format("bytes={}-{}", range.offset, range.end() - 1); }

// A deleted object is a denied one where its bucket may not be listed.
bool IsNotToBeHad(const std::optional<Failure>& failure) {
  return failure && failure->remedy == Remedy::kNone &&
         (failure->error.code == ErrorCode::kVersionGone || failure->error.code == ErrorCode::kDenied);
}

}  // namespace

RangedGet::RangedGet(const ObjectId& object, ByteRange range, const ByteSink& sink, VersionMemory& versions,
                     Metrics& metrics)
    : object_(object),
      sink_(sink),
      versions_(versions),
      metrics_(metrics),
      subject_(fmt::format("GET s3://{}/{} {}", object.bucket, object.key, RangeText(range))),
      missing_(range) {
  if (const auto kept = versions.Find(object); kept && kept->superseded) version_id_ = kept->id;
}

std::optional<Failure> RangedGet::Try(SignedSender& sender, int attempt, const CallContext& context) {
  const bool by_id = !version_id_.empty();
  std::optional<Failure> failure = Ask(sender, attempt, context);
  if (!IsNotToBeHad(failure)) return failure;
  version_id_ = by_id ? std::string() : KnownVersionId();
  if (!by_id && version_id_.empty()) return failure;
  std::optional<Failure> other = Ask(sender, attempt, context);
  // Why, is said of the current object: who may read that need not be allowed to read what was.
  return !by_id && IsNotToBeHad(other) ? failure : other;
}

std::string RangedGet::KnownVersionId() const {
  if (!object_.version_id.empty()) return object_.version_id;
  const auto kept = versions_.Find(object_);
  return kept ? kept->id : std::string();
}

std::optional<Failure> RangedGet::Ask(SignedSender& sender, int attempt, const CallContext& context) {
  const HttpSink sink{.on_headers = [this](const HttpResponse& response) { return TakeHeaders(response); },
                      .on_body = [this](std::span<const std::byte> bytes) { return TakeBody(bytes); }};
  return Judge(sender.Send(MakeRequest(), attempt, sink, context));
}

StoreRequest RangedGet::MakeRequest() const {
  StoreRequest request{.bucket = object_.bucket, .key = object_.key, .subject = subject_};
  request.metric = Metric::kS3Gets;
  request.headers.push_back({"Range", RangeText(missing_)});
  if (HasStrongEtag(object_)) request.headers.push_back({"If-Match", QuoteEtag(object_.etag)});
  if (!version_id_.empty()) request.query.emplace_back("versionId", version_id_);
  return request;
}

Result<void> RangedGet::TakeHeaders(const HttpResponse& response) {
  overlong_ = false;
  S3OVERLAY_RETURN_IF_ERROR(CheckRangeAnswer(response, object_, missing_));
  versions_.Record(object_, {.id = VersionIdOf(response), .superseded = !version_id_.empty()});
  was_answered_ = true;
  return {};
}

Result<void> RangedGet::TakeBody(std::span<const std::byte> bytes) {
  if (bytes.size() > missing_.size) {
    overlong_ = true;
    return Error{ErrorCode::kBadResponse, "the answer is longer than it said"};
  }
  if (bytes.empty()) return {};
  metrics_.Add(Metric::kS3BytesReceived, bytes.size());
  if (Result<void> taken = sink_(missing_.offset, bytes); !taken) {
    sink_failed_ = true;
    return taken;
  }
  missing_ = {missing_.offset + bytes.size(), missing_.size - bytes.size()};
  return {};
}

std::optional<Failure> RangedGet::Judge(std::optional<Failure> failure) {
  const bool delivered = missing_.empty() && !overlong_;
  // A connection that breaks after the last byte took nothing away.
  if (delivered && !sink_failed_) return std::nullopt;
  if (!failure) {
    return FailureOfExchange(
        {ErrorCode::kBadResponse, fmt::format("{}: {} bytes are missing", subject_, missing_.size)});
  }
  // The sink's own error is the caller's affair: asking again would not please it. And with every byte delivered there
  // is nothing left to ask for.
  if (sink_failed_ || missing_.empty()) failure->remedy = Remedy::kNone;
  if (failure->error.code == ErrorCode::kNotFound) {
    was_answered_ = true;
    failure->error.code = ErrorCode::kVersionGone;
  }
  return failure;
}

}  // namespace s3overlay::s3
