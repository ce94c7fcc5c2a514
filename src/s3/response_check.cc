// SPDX-License-Identifier: Apache-2.0
#include "s3/response_check.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "s3/dates.h"
#include "s3/wire_format.h"

namespace s3overlay::s3 {
namespace {

constexpr size_t kMaxVersionBytes = 1024;  // S3's own are 32; it goes back into a URL.
constexpr size_t kMaxClassBytes = 64;

Error Bad(std::string_view why) { return {ErrorCode::kBadResponse, fmt::format("the answer is refused: {}", why)}; }

Error Gone(std::string_view why) {
  return {ErrorCode::kVersionGone, fmt::format("the store has another version of the object: {}", why)};
}

std::string_view HeaderOr(const HttpResponse& response, std::string_view name, std::string_view otherwise) {
  const std::string* value = response.FindHeader(name);
  return value == nullptr ? otherwise : std::string_view(*value);
}

// A store may send a header of any length.
std::string_view Shown(std::string_view value) { return value.substr(0, 100); }

// An absent Content-Length is no contradiction (a chunked answer): the bytes are counted anyway.
Result<void> CheckLength(const HttpResponse& response, uint64_t expected) {
  const std::string* length = response.FindHeader("Content-Length");
  if (length == nullptr) return {};
  const std::string_view shown = Shown(*length);
  if (ParseSize(*length) != expected) return Bad(fmt::format("{} bytes promised, {} asked for", shown, expected));
  return {};
}

Result<void> CheckPartial(const HttpResponse& response, const ObjectId& pinned, const ByteRange& asked) {
  const std::string_view text = HeaderOr(response, "Content-Range", "");
  const std::optional<ContentRange> got = ParseContentRange(text);
  if (!got) return Bad(fmt::format("Content-Range '{}'", Shown(text)));
  if (got->total != pinned.size) return Gone(fmt::format("{} bytes, not {}", got->total, pinned.size));
  if (got->range != asked) return Bad(fmt::format("'{}' is not the range asked for", Shown(text)));
  return CheckLength(response, asked.size);
}

// A store that ignores Range sends the whole object: right only where that was asked for.
Result<void> CheckWhole(const HttpResponse& response, const ObjectId& pinned, const ByteRange& asked) {
  if (asked != ByteRange{0, pinned.size}) return Bad("the whole object where a range was asked for");
  const std::optional<uint64_t> length = ParseSize(HeaderOr(response, "Content-Length", ""));
  if (!length) return Bad("a whole object without its length");
  if (*length != pinned.size) return Gone(fmt::format("{} bytes, not {}", *length, pinned.size));
  return {};
}

std::string_view Opaque(std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; }

// Headers carry whole seconds, lists fractions.
bool SameSecond(WallTime a, WallTime b) {
  return std::chrono::floor<std::chrono::seconds>(a) == std::chrono::floor<std::chrono::seconds>(b);
}

Result<void> CheckVersion(const HttpResponse& response, const ObjectId& pinned) {
  const std::optional<std::string> etag = UnquoteEtag(HeaderOr(response, "ETag", ""));
  if (!etag) return Bad("an ETag that is none");
  if (!etag->empty() && !pinned.etag.empty() && Opaque(*etag) != Opaque(pinned.etag)) return Gone("its ETag differs");
  // Whoever read If-Match can say what it was matched with. A page of somebody else's, as long as the object, cannot.
  if (HasStrongEtag(pinned)) return etag->empty() ? Bad("no ETag") : Result<void>();
  if (pinned.last_modified == WallTime{}) {
    // Neither If-Match nor a date can pin it: then the ETag has to be there.
    return etag->empty() ? Bad("no ETag") : Result<void>();
  }
  const std::optional<WallTime> time = ParseHttpDate(HeaderOr(response, "Last-Modified", ""));
  if (!time) return Bad("neither a strong ETag nor Last-Modified");
  if (!SameSecond(*time, pinned.last_modified)) return Gone("it was modified");
  return {};
}

bool IsArchived(const HttpResponse& response, std::string_view storage_class) {
  const bool archive = storage_class == "GLACIER" || storage_class == "DEEP_ARCHIVE" ||
                       response.FindHeader("x-amz-archive-status") != nullptr;
  return archive && HeaderOr(response, "x-amz-restore", "").find("ongoing-request=\"false\"") == std::string_view::npos;
}

}  // namespace

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == text.npos || slash == text.npos || slash < dash) return std::nullopt;
  const std::optional<uint64_t> first = ParseSize(text.substr(0, dash));
  const std::optional<uint64_t> last = ParseSize(text.substr(dash + 1, slash - dash - 1));
  const std::optional<uint64_t> total = ParseSize(text.substr(slash + 1));
  if (!first || !last || !total || *last < *first || *last >= *total) return std::nullopt;
  return ContentRange{{*first, *last - *first + 1}, *total};
}

Result<void> CheckRangeAnswer(const HttpResponse& response, const ObjectId& pinned, const ByteRange& asked) {
  if (response.status == 206) {
    S3OVERLAY_RETURN_IF_ERROR(CheckPartial(response, pinned, asked));
  } else if (response.status == 200) {
    S3OVERLAY_RETURN_IF_ERROR(CheckWhole(response, pinned, asked));
  } else {
    return Bad(fmt::format("HTTP {} to a ranged GET", response.status));
  }
  return CheckVersion(response, pinned);
}

std::string VersionIdOf(const HttpResponse& response) {
  const std::string_view version = HeaderOr(response, "x-amz-version-id", "");
  return version.size() > kMaxVersionBytes ? std::string() : std::string(version);
}

Result<ObjectMetadata> ReadHeadAnswer(const HttpResponse& response, ObjectId named) {
  if (response.status != 200) return Bad(fmt::format("HTTP {} to a HEAD", response.status));
  const std::optional<uint64_t> size = ParseSize(HeaderOr(response, "Content-Length", ""));
  if (!size) return Bad("no Content-Length in the answer to a HEAD");
  std::optional<std::string> etag = UnquoteEtag(HeaderOr(response, "ETag", ""));
  if (!etag) return Bad("an ETag that is none");
  const std::optional<WallTime> time = ParseHttpDate(HeaderOr(response, "Last-Modified", ""));
  if (etag->empty() && !time) return Bad("neither ETag nor Last-Modified in the answer to a HEAD");

  ObjectMetadata object;
  object.id = std::move(named);
  object.id.etag = *std::move(etag);
  object.id.size = *size;
  object.id.last_modified = object.last_modified = time.value_or(WallTime{});
  object.storage_class = HeaderOr(response, "x-amz-storage-class", "").substr(0, kMaxClassBytes);
  object.archived = IsArchived(response, object.storage_class);
  const std::string_view version = HeaderOr(response, "x-amz-version-id", "");
  if (version.size() > kMaxVersionBytes) return Bad("a version id that never ends");
  if (version != "null") object.id.version_id = version;
  return object;
}

}  // namespace s3overlay::s3
