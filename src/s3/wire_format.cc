// SPDX-License-Identifier: Apache-2.0
#include "s3/wire_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "s3/dates.h"
#include "s3/uri.h"
#include "s3/xml_text.h"

namespace s3overlay::s3 {
namespace {

// Limits to what is kept of an answer, and sent back in the next request or shown to people.
constexpr size_t kMaxTokenBytes = 16 * 1024;  // Those of real stores hold a key or two, encoded.
constexpr size_t kMaxEtagBytes = 1024;
constexpr size_t kMaxClassBytes = 64;
constexpr size_t kMaxShownBytes = 512;

Error BadList(std::string_view why) {
  return {ErrorCode::kBadResponse, fmt::format("the store's list is not usable: {}", why)};
}

bool IsArchiveClass(std::string_view storage_class) {
  return storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE";
}

// Reads one page; holds what all its elements need.
class ListReader {
 public:
  ListReader(const pugi::xml_node& root, const ListRequest& request, std::string_view store)
      : root_(root), request_(request), store_(store), url_encoded_(TextOf(root.child("EncodingType")) == "url") {}

  Result<ListPage> Read() {
    S3OVERLAY_RETURN_IF_ERROR(ReadFrame());
    for (const pugi::xml_node& node : root_.children("Contents")) S3OVERLAY_RETURN_IF_ERROR(ReadObject(node));
    for (const pugi::xml_node& node : root_.children("CommonPrefixes")) S3OVERLAY_RETURN_IF_ERROR(ReadPrefix(node));
    return std::move(page_);
  }

 private:
  // The text of the one child of that name; "" where there is none.
  static Result<std::string> Text(const pugi::xml_node& parent, const char* name) {
    const pugi::xml_node child = parent.child(name);
    if (child.next_sibling(name)) return BadList(fmt::format("{} stands there twice", name));
    std::optional<std::string> text = TextOf(child);
    if (!text) return BadList(fmt::format("{} is no plain text", name));
    return *std::move(text);
  }

  Result<std::string> Name(const pugi::xml_node& parent, const char* child) const {
    Result<std::string> text = Text(parent, child);
    if (!text) return text;
    if (text->empty()) return BadList(fmt::format("an entry without {}", child));
    if (!url_encoded_) return text;
    std::optional<std::string> decoded = DecodeComponent(*text);
    if (!decoded) return BadList("a name that is not URL-encoded");
    return *std::move(decoded);
  }

  Result<void> ReadFrame() {
    // Ceph encodes the keys and leaves the prefix as it is; AWS encodes both.
    const Result<std::string> prefix = Text(root_, "Prefix");
    if (!prefix) return prefix.error();
    if (!prefix->empty() && *prefix != request_.prefix && DecodeComponent(*prefix) != request_.prefix) {
      return BadList("it is that of another prefix");
    }
    const Result<std::string> truncated = Text(root_, "IsTruncated");
    if (!truncated) return truncated.error();
    if (*truncated != "true" && *truncated != "false") return BadList("it does not say whether it is complete");
    page_.truncated = *truncated == "true";
    return page_.truncated ? ReadToken() : Result<void>();
  }

  Result<void> ReadToken() {
    Result<std::string> token = Text(root_, "NextContinuationToken");
    if (!token) return token.error();
    if (token->empty()) return BadList("it is cut and has no continuation token");
    if (token->size() > kMaxTokenBytes) return BadList("its continuation token never ends");
    if (*token == request_.continuation_token) return BadList("it continues with itself");
    page_.next_token = *std::move(token);
    return {};
  }

  Result<void> ReadObject(const pugi::xml_node& node) {
    Result<std::string> key = Name(node, "Key");
    if (!key) return key.error();
    if (!key->starts_with(request_.prefix)) return BadList("a key outside the prefix");
    ObjectMetadata object;
    object.id.store = store_;
    object.id.bucket = request_.bucket;
    object.id.key = *std::move(key);
    S3OVERLAY_RETURN_IF_ERROR(ReadVersion(node, object));
    object.storage_class = TextOf(node.child("StorageClass")).value_or("").substr(0, kMaxClassBytes);
    object.archived = IsArchiveClass(object.storage_class) && !IsRestored(node.child("RestoreStatus"));
    page_.objects.push_back(std::move(object));
    return {};
  }

  static Result<void> ReadVersion(const pugi::xml_node& node, ObjectMetadata& object) {
    const Result<std::string> size_text = Text(node, "Size");
    const std::optional<uint64_t> size = size_text ? ParseSize(*size_text) : std::nullopt;
    if (!size) return BadList("an object without a size");
    const Result<std::string> etag_text = Text(node, "ETag");
    std::optional<std::string> etag = etag_text ? UnquoteEtag(*etag_text) : std::nullopt;
    if (!etag) return BadList("an ETag that is none");
    object.id.size = *size;
    object.id.etag = *std::move(etag);
    if (!node.child("LastModified")) {
      return object.id.etag.empty() ? BadList("an object with neither ETag nor date") : Result<void>();
    }
    const Result<std::string> date = Text(node, "LastModified");
    const std::optional<WallTime> time = date ? ParseIsoDate(*date) : std::nullopt;
    if (!time) return BadList("a date that is none");
    object.id.last_modified = object.last_modified = *time;
    return {};
  }

  static bool IsRestored(const pugi::xml_node& status) {
    return TextOf(status.child("IsRestoreInProgress")) == "false" && status.child("RestoreExpiryDate");
  }

  Result<void> ReadPrefix(const pugi::xml_node& node) {
    Result<std::string> prefix = Name(node, "Prefix");
    if (!prefix) return prefix.error();
    if (!prefix->starts_with(request_.prefix) || prefix->size() == request_.prefix.size() ||
        request_.delimiter.empty() || !prefix->ends_with(request_.delimiter)) {
      return BadList("a common prefix that was not asked for");
    }
    page_.common_prefixes.push_back(*std::move(prefix));
    return {};
  }

  const pugi::xml_node& root_;
  const ListRequest& request_;
  const std::string_view store_;
  const bool url_encoded_;
  ListPage page_;
};

}  // namespace

std::optional<ErrorDocument> ParseErrorDocument(std::string_view body) {
  pugi::xml_document document;
  if (!LoadXml(body, &document)) return std::nullopt;
  const pugi::xml_node root = document.child("Error");
  const auto shown = [&](const char* name) { return TextOf(root.child(name)).value_or("").substr(0, kMaxShownBytes); };
  ErrorDocument error{shown("Code"), shown("Message"), shown("Region"), shown("Endpoint")};
  if (error.code.empty()) return std::nullopt;
  return error;
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return size;
}

std::optional<std::string> UnquoteEtag(std::string_view text) {
  const bool weak = text.starts_with("W/");
  if (weak) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  // Goes out again in If-Match: no control characters, no quotes (RFC 9110: etagc).
  const bool clean = std::ranges::all_of(text, [](char c) { return c != '"' && c != 0x7f && (c < 0 || c >= 0x20); });
  if (!clean || text.size() > kMaxEtagBytes) return std::nullopt;
  return (weak ? "W/" : "") + std::string(text);
}

std::string QuoteEtag(std::string_view etag) { return fmt::format("\"{}\"", etag); }

Result<ListPage> ParseListPage(std::string_view body, const ListRequest& request, std::string_view store) {
  pugi::xml_document document;
  if (!LoadXml(body, &document)) return BadList("it is not XML");
  const pugi::xml_node root = document.child("ListBucketResult");
  if (!root) return BadList("it is no ListBucketResult");
  return ListReader(root, request, store).Read();
}

namespace {

struct CodeRule {
  std::string_view code;
  ErrorCode error;
  Remedy remedy;
  std::string_view advice;
};

constexpr CodeRule kRules[] = {
    {"NoSuchKey", ErrorCode::kNotFound, Remedy::kNone, ""},
    {"NoSuchVersion", ErrorCode::kNotFound, Remedy::kNone, ""},
    {"NoSuchBucket", ErrorCode::kMisconfigured, Remedy::kNone, "check the bucket's name and the endpoint"},
    {"InvalidBucketName", ErrorCode::kMisconfigured, Remedy::kNone, "check the bucket's name"},
    {"PermanentRedirect", ErrorCode::kMisconfigured, Remedy::kNone, ""},
    {"TemporaryRedirect", ErrorCode::kMisconfigured, Remedy::kNone, ""},
    {"AuthorizationHeaderMalformed", ErrorCode::kMisconfigured, Remedy::kNone, "check --region"},
    {"IllegalLocationConstraintException", ErrorCode::kMisconfigured, Remedy::kNone, "check --region"},
    {"InvalidAccessKeyId", ErrorCode::kCredentials, Remedy::kNewCredentials, "the store does not know this access key"},
    {"SignatureDoesNotMatch", ErrorCode::kCredentials, Remedy::kNewCredentials, "check the secret key"},
    {"ExpiredToken", ErrorCode::kCredentials, Remedy::kNewCredentials, "renew the credentials"},
    {"ExpiredTokenException", ErrorCode::kCredentials, Remedy::kNewCredentials, "renew the credentials"},
    {"InvalidToken", ErrorCode::kCredentials, Remedy::kNewCredentials, "check the session token"},
    {"TokenRefreshRequired", ErrorCode::kCredentials, Remedy::kNewCredentials, "renew the credentials"},
    {"RequestTimeTooSkewed", ErrorCode::kMisconfigured, Remedy::kSetClock, "set the clock of this machine"},
    {"RequestExpired", ErrorCode::kMisconfigured, Remedy::kSetClock, "set the clock of this machine"},
    {"InvalidObjectState", ErrorCode::kArchived, Remedy::kNone, "restore the object first"},
    {"PreconditionFailed", ErrorCode::kVersionGone, Remedy::kNone, ""},
    {"InvalidRange", ErrorCode::kVersionGone, Remedy::kNone, ""},
    {"SlowDown", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"Throttling", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"ThrottlingException", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"ThrottledException", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"RequestThrottled", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"RequestThrottledException", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"TooManyRequests", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"TooManyRequestsException", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"RequestLimitExceeded", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"BandwidthLimitExceeded", ErrorCode::kThrottled, Remedy::kSlowDown, ""},
    {"RequestTimeout", ErrorCode::kUnavailable, Remedy::kRetry, ""},
    {"OperationAborted", ErrorCode::kUnavailable, Remedy::kRetry, ""},
    {"NotImplemented", ErrorCode::kMisconfigured, Remedy::kNone, "this store does not offer what is needed"},
};

// A code counts only beside a status that fits it, so that no document can turn an outage into an absence.
const CodeRule* RuleOf(const ErrorDocument& document, int status) {
  const auto* rule = std::ranges::find(kRules, document.code, &CodeRule::code);
  if (rule == std::end(kRules)) return nullptr;
  if (document.code.starts_with("NoSuch") && status != 404) return nullptr;
  return rule;
}

// Without a rule the status speaks. `is_s3`: an S3 error document came with it, or HEAD, which carries none.
std::pair<ErrorCode, Remedy> OfStatus(int status, bool is_s3, bool has_body) {
  if (status == 429) return {ErrorCode::kThrottled, Remedy::kSlowDown};
  if (status == 501) return {ErrorCode::kMisconfigured, Remedy::kNone};
  if (status >= 500 || status == 408) return {ErrorCode::kUnavailable, Remedy::kRetry};
  if (status == 412 || status == 416) return {ErrorCode::kVersionGone, Remedy::kNone};
  // A proxy's page says nothing about the store.
  if (!is_s3) return {ErrorCode::kBadResponse, Remedy::kRetry};
  if (status == 401 || status == 403) return {ErrorCode::kDenied, Remedy::kNone};
  if (has_body) return {ErrorCode::kBadResponse, Remedy::kNone};
  // What a HEAD with 400 means (mostly an expired token) only a request with a body tells: see S3Store::Head.
  if (status == 400) return {ErrorCode::kDenied, Remedy::kNone};
  if (status == 404) return {ErrorCode::kNotFound, Remedy::kNone};
  return {ErrorCode::kBadResponse, Remedy::kRetry};
}

// What the store says about where the bucket is; empty where it does not.
std::string PlaceAdvice(const HttpResponse& response, const std::optional<ErrorDocument>& document) {
  const std::string* header = response.FindHeader("x-amz-bucket-region");
  const std::string region = header != nullptr ? header->substr(0, kMaxShownBytes) : document ? document->region : "";
  const std::string endpoint = document ? document->endpoint : "";
  std::string advice;
  if (!region.empty()) advice = fmt::format("; the store names region '{0}': use --region {0}", region);
  if (!endpoint.empty()) advice += fmt::format("; the store names the endpoint '{}'", endpoint);
  return advice;
}

std::optional<Duration> RetryAfter(const HttpResponse& response, WallTime now) {
  const std::string* value = response.FindHeader("Retry-After");
  if (value == nullptr) return std::nullopt;
  // An hour is for ever here, and a larger number must not overflow.
  constexpr uint64_t kLongest = 3600;
  if (const std::optional<uint64_t> seconds = ParseSize(*value)) {
    return std::chrono::seconds(std::min(*seconds, kLongest));
  }
  const std::optional<WallTime> date = ParseHttpDate(*value);
  if (!date) return std::nullopt;
  return std::clamp<Duration>(*date - now, Duration::zero(), std::chrono::seconds(kLongest));
}

std::string Message(const RefusedRequest& refused, const std::optional<ErrorDocument>& document) {
  if (document) {
    const std::string_view space = document->message.empty() ? "" : " ";
    return fmt::format("{}: {}{}{} (HTTP {})", refused.subject, document->code, space, document->message,
                       refused.response.status);
  }
  const std::string_view why = refused.has_body ? " without an S3 error document" : "";
  return fmt::format("{}: HTTP {}{}", refused.subject, refused.response.status, why);
}

}  // namespace

Failure FailureOfAnswer(const RefusedRequest& refused) {
  const HttpResponse& response = refused.response;
  const std::optional<ErrorDocument> document = ParseErrorDocument(refused.body);
  Failure failure;
  failure.error.message = Message(refused, document);
  failure.status = response.status;
  failure.retry_after = RetryAfter(response, refused.now);
  if (const std::string* date = response.FindHeader("Date")) failure.store_time = ParseHttpDate(*date);

  std::string advice = response.status < 500 ? PlaceAdvice(response, document) : "";
  const CodeRule* rule = document ? RuleOf(*document, response.status) : nullptr;
  if (rule != nullptr) {
    failure.error.code = rule->error;
    failure.remedy = rule->remedy;
    if (advice.empty() && !rule->advice.empty()) advice = fmt::format("; {}", rule->advice);
  } else if (response.status < 400 && !advice.empty()) {
    failure.error.code = ErrorCode::kMisconfigured;
  } else {
    std::tie(failure.error.code, failure.remedy) =
        OfStatus(response.status, document.has_value() || !refused.has_body, refused.has_body);
  }
  failure.error.message += advice;
  return failure;
}

Failure FailureOfExchange(Error error) {
  const bool again = error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kBadResponse;
  return {.error = std::move(error), .remedy = again ? Remedy::kRetry : Remedy::kNone};
}

}  // namespace s3overlay::s3
