// SPDX-License-Identifier: Apache-2.0
#include "s3/signed_sender.h"

#include <chrono>
#include <utility>

#include "s3/request_signer.h"
#include "s3/uri.h"
#include "s3/wire_format.h"
#include "s3overlay/log.h"

namespace s3overlay::s3 {
namespace {

constexpr size_t kErrorDocumentLimit = 64 * 1024;
constexpr size_t kShortestSecret = 8;

std::string EncodeQuery(const std::vector<std::pair<std::string, std::string>>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    text += text.empty() ? '?' : '&';
    text += EncodeComponent(name) + "=" + EncodeComponent(value);
  }
  return text;
}

// Whose rights were not enough, where that is the question.
std::string SignerNote(const Failure& failure) {
  const bool refused = failure.error.code == ErrorCode::kCredentials;
  if (failure.signed_with) return refused ? "; signed with " + failure.signed_with->Redacted() : "";
  const bool denied = refused || failure.error.code == ErrorCode::kDenied;
  return denied ? "; the request was not signed" : "";
}

void Erase(std::string& text, std::string_view secret) {
  if (secret.size() < kShortestSecret) return;
  for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret)) {
    text.replace(at, secret.size(), "[...]");
  }
}

// Some stores, and proxies more so, quote the request that they refuse: what was signed with must not come into a log
// that way. The secret key itself is never sent.
std::string WithoutSecrets(std::string text, const HttpRequest& request) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == "x-amz-security-token") Erase(text, header.value);
    if (header.name == "Authorization") Erase(text, std::string_view(header.value).substr(header.value.rfind('=') + 1));
  }
  return text;
}

// Lets bodies of good answers through and keeps the others aside.
class AnswerSplitter {
 public:
  explicit AnswerSplitter(const HttpSink& good) : good_(good) {}

  HttpSink AsSink() {
    return {.on_headers = [this](const HttpResponse& response) { return TakeHeaders(response); },
            .on_body = [this](std::span<const std::byte> bytes) { return TakeBody(bytes); }};
  }
  const std::string& error_document() const { return error_document_; }

  // The answer of an exchange that was broken off here, as the error document had no end: its status stands.
  const HttpResponse* broken_off() const { return overflowed_ ? &refusal_ : nullptr; }

 private:
  Result<void> TakeHeaders(const HttpResponse& response) {
    is_good_ = response.status >= 200 && response.status < 300;
    if (!is_good_) refusal_ = response;
    if (!is_good_ || !good_.on_headers) return {};
    return good_.on_headers(response);
  }
  Result<void> TakeBody(std::span<const std::byte> bytes) {
    if (is_good_) return good_.on_body ? good_.on_body(bytes) : Result<void>();
    const size_t room = kErrorDocumentLimit - error_document_.size();
    error_document_.append(reinterpret_cast<const char*>(bytes.data()), std::min(room, bytes.size()));
    if (bytes.size() <= room) return {};
    overflowed_ = true;
    return Error{ErrorCode::kBadResponse, "the error document never ends"};
  }

  const HttpSink& good_;
  bool is_good_ = false;
  bool overflowed_ = false;
  HttpResponse refusal_;
  std::string error_document_;
};

}  // namespace

SignedSender::SignedSender(SenderOptions options, HttpTransport& transport, CredentialProvider& provider,
                           const Clock& clock, Metrics& metrics)
    : options_(std::move(options)), transport_(transport), provider_(provider), clock_(clock), metrics_(metrics) {}

std::optional<Failure> SignedSender::Send(const StoreRequest& request, int attempt, const HttpSink& sink,
                                          const CallContext& context) {
  Result<std::optional<Credentials>> credentials = provider_.Get(context);
  if (!credentials) return FailureOfExchange(std::move(credentials).error());
  Result<HttpRequest> built = Build(request, *credentials);
  if (!built) return FailureOfExchange(std::move(built).error());

  metrics_.Add(request.metric);
  const TimePoint start = clock_.Now();
  int status = 0;
  std::optional<Failure> failure = Exchange(request, *built, sink, context, &status);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - start);
  log::Debug("{}: HTTP {} in {} ms, attempt {}{}{}", request.subject, status, took.count(), attempt,
             failure ? ": " : "", failure ? failure->error.message : "");
  if (!failure) return std::nullopt;
  failure->signed_with = *std::move(credentials);
  failure->error.message += SignerNote(*failure);
  return failure;
}

Result<HttpRequest> SignedSender::Build(const StoreRequest& request,
                                        const std::optional<Credentials>& credentials) const {
  if (!options_.endpoint) return options_.endpoint.error();
  Result<std::string> url = ObjectUrl(*options_.endpoint, options_.addressing, request.bucket, request.key);
  if (!url) return url.error();
  HttpRequest built{.method = request.method,
                    .url = *url + EncodeQuery(request.query),
                    .headers = request.headers,
                    .body = {},
                    .bypass_proxy = false};
  if (!credentials) return built;
  return SignRequest(std::move(built), *credentials, {.region = options_.region, .now = StoreNow()});
}

std::optional<Failure> SignedSender::Exchange(const StoreRequest& request, const HttpRequest& signed_request,
                                              const HttpSink& sink, const CallContext& context, int* status) {
  AnswerSplitter splitter(sink);
  Result<HttpResponse> response = transport_.Send(signed_request, splitter.AsSink(), context);
  if (const HttpResponse* const broken_off = splitter.broken_off()) response = *broken_off;
  if (!response) {
    Error error = response.error();
    error.message = request.subject + ": " + error.message;
    return FailureOfExchange(std::move(error));
  }
  *status = response->status;
  if (response->status >= 200 && response->status < 300) return std::nullopt;
  const std::string body = WithoutSecrets(splitter.error_document(), signed_request);
  Failure failure = FailureOfAnswer({.response = *response,
                                     .body = body,
                                     .subject = request.subject,
                                     .has_body = request.method != "HEAD",
                                     .now = clock_.WallNow()});
  // Once more, for what only stands there when entities are resolved and pieces are joined.
  failure.error.message = WithoutSecrets(std::move(failure.error.message), signed_request);
  return failure;
}

void SignedSender::SetClock(WallTime store_time) {
  offset_ = (store_time - clock_.WallNow()).count();
  ++epoch_;
  log::Warning("the clock of this machine differs from the store's by {} s; requests are signed with the store's time",
               offset_ / Duration(std::chrono::seconds(1)).count());
}

bool SignedSender::RenewCredentials(const Credentials& refused, const CallContext& context) {
  provider_.Refused(refused);
  const Result<std::optional<Credentials>> renewed = provider_.Get(context);
  if (!renewed || !*renewed) return false;
  if ((*renewed)->access_key == refused.access_key && (*renewed)->secret_key == refused.secret_key &&
      (*renewed)->session_token == refused.session_token) {
    return false;
  }
  ++epoch_;
  return true;
}

}  // namespace s3overlay::s3
