// SPDX-License-Identifier: Apache-2.0
#include "config/layer_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "s3overlay/redact.h"

namespace s3overlay {
namespace {

constexpr std::string_view kScheme = "s3://";

Error Invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

std::string_view StripSlashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  return text;
}

// What no store takes as a bucket's name. The store has the last word: some allow capitals and underscores.
bool CanBeBucket(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
}

// A URL of any kind holds its '=' in its query.
bool IsUrl(std::string_view text) {
  const size_t mark = text.find("://");
  return mark != std::string_view::npos && mark < text.find('=');
}

bool IsNeverSplit(std::string_view text) {
  return IsUrl(text) || text.starts_with('/') || text.starts_with("./") || text.starts_with("../") || text == "." ||
         text == "..";
}

Result<LayerSpec> ParseSource(std::string_view text) {
  LayerSpec layer;
  layer.text = std::string(text);
  layer.is_s3 = IsS3Uri(text);
  if (!layer.is_s3) {
    if (text.find("://") != std::string_view::npos) {
      return Invalid(fmt::format("'{}': a layer is s3://bucket[/prefix] or a local directory", RedactUrl(text)));
    }
    layer.directory = AbsolutePath(text);
    return layer;
  }
  Result<S3Uri> uri = ParseS3Uri(text);
  if (!uri) return uri.error();
  layer.bucket = uri->bucket;
  layer.prefix = std::string(StripSlashes(uri->key));
  return layer;
}

}  // namespace

bool IsS3Uri(std::string_view text) { return text.starts_with(kScheme); }

Result<S3Uri> ParseS3Uri(std::string_view text) {
  if (!IsS3Uri(text)) return Invalid(fmt::format("'{}' does not start with s3://", RedactUrl(text)));
  const std::string_view rest = text.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string_view bucket = rest.substr(0, slash);
  if (!CanBeBucket(bucket)) {
    return Invalid(fmt::format("'{}' names no bucket; write s3://bucket or s3://bucket/prefix", RedactUrl(text)));
  }
  return S3Uri{std::string(bucket), slash == std::string_view::npos ? "" : std::string(rest.substr(slash + 1))};
}

Result<std::string> ParseSubPath(std::string_view text) {
  const std::string_view path = StripSlashes(text);
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == ".." || component.size() > 255) {
      return Invalid(fmt::format("'{}' is no path below the mountpoint; write names with single slashes", text));
    }
    start = end + 1;
  }
  return std::string(path);
}

Result<LayerSpec> ParseLayerSpec(std::string_view text) {
  if (text.empty()) return Invalid("an empty layer; write s3://bucket[/prefix] or a local directory");
  const size_t equals = IsNeverSplit(text) ? std::string_view::npos : text.find('=');
  if (equals == std::string_view::npos) return ParseSource(text);
  Result<std::string> at = ParseSubPath(text.substr(0, equals));
  if (!at) return at.error();
  const std::string_view source = text.substr(equals + 1);
  if (source.empty()) return Invalid(fmt::format("'{}': after '=' comes s3://bucket[/prefix] or a directory", text));
  Result<LayerSpec> layer = ParseSource(source);
  if (layer) layer->at = *std::move(at);
  return layer;
}

std::string AbsolutePath(std::string_view path) {
  std::string absolute = std::filesystem::absolute(std::filesystem::path(path)).lexically_normal();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

}  // namespace s3overlay
