// SPDX-License-Identifier: Apache-2.0
#include "s3/addressing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "s3/uri.h"
#include "s3overlay/redact.h"

namespace s3overlay {
namespace {

constexpr std::string_view kSchemes[] = {"https://", "http://"};

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsHostCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool IsAddressCharacter(char c) { return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.'; }

Error BadEndpoint(std::string_view text, std::string_view why) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("endpoint '{}': {}; expected something like https://s3.example.com or http://127.0.0.1:9000",
                      RedactUrl(text), why)};
}

bool IsHost(std::string_view host) {
  if (host.starts_with('[')) {
    if (host.size() < 4 || !host.ends_with(']')) return false;
    return std::ranges::all_of(host.substr(1, host.size() - 2), IsAddressCharacter);
  }
  return !host.empty() && host.front() != '.' && std::ranges::all_of(host, IsHostCharacter);
}

// Without the colon; empty where there is none.
std::string_view PortOf(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  if (colon == std::string_view::npos) return {};
  if (bracket != std::string_view::npos && colon < bracket) return {};
  return authority.substr(colon + 1);
}

std::optional<int> ParsePort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) return std::nullopt;
  return port;
}

Result<std::string> NormalizeAuthority(std::string_view text, std::string_view scheme, std::string_view authority) {
  const std::string_view port_text = PortOf(authority);
  std::string_view host = authority;
  if (!port_text.empty()) host.remove_suffix(port_text.size() + 1);
  if (!IsHost(host)) return BadEndpoint(text, "it names no host");
  if (port_text.empty()) return fmt::format("{}{}", scheme, host);
  const std::optional<int> port = ParsePort(port_text);
  // What stands there may be half of "user:password".
  if (!port) {
    return BadEndpoint(fmt::format("{}{}:...", scheme, host), "the port is not a number between 1 and 65535");
  }
  const int default_port = scheme == "https://" ? 443 : 80;
  if (*port == default_port) return fmt::format("{}{}", scheme, host);
  return fmt::format("{}{}:{}", scheme, host, *port);
}

}  // namespace

Result<std::string> NormalizeEndpoint(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), ToLower);
  std::string_view rest = lower;
  std::string_view scheme = kSchemes[0];
  if (const size_t mark = rest.find("://"); mark != std::string_view::npos) {
    const auto* known = std::ranges::find(kSchemes, rest.substr(0, mark + 3));
    if (known == std::end(kSchemes)) return BadEndpoint(text, "only http:// and https:// are spoken");
    scheme = *known;
    rest.remove_prefix(scheme.size());
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != std::string_view::npos) {
    // Without a scheme it is no URL to RedactUrl, and a password may stand in it.
    return BadEndpoint("...", "credentials do not belong into the URL");
  }
  if (rest.find('/') != std::string_view::npos) {
    return BadEndpoint(text, "a path is not part of an endpoint (the bucket belongs into s3://bucket/prefix)");
  }
  if (rest.find_first_of("?#") != std::string_view::npos) return BadEndpoint(text, "a query is not part of it");
  return NormalizeAuthority(text, scheme, rest);
}

namespace s3 {
namespace {

// One label of a host name. Names with dots are none: certificates of stores do not cover them.
bool IsHostLabel(std::string_view bucket) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return bucket.size() >= 3 && bucket.size() <= 63 && std::ranges::all_of(bucket, fits) && bucket.front() != '-' &&
         bucket.back() != '-';
}

bool IsHostName(std::string_view bucket) {
  return !bucket.empty() && bucket.size() <= 63 && std::ranges::all_of(bucket, IsHostCharacter) &&
         bucket.front() != '.' && bucket.back() != '.' && bucket.find("..") == std::string_view::npos;
}

bool IsAmazon(std::string_view endpoint) {
  return endpoint.ends_with(".amazonaws.com") || endpoint.ends_with(".amazonaws.com.cn");
}

}  // namespace

Result<std::string> ObjectUrl(std::string_view endpoint, Addressing addressing, std::string_view bucket,
                              std::string_view key) {
  if (bucket.empty()) return Error{ErrorCode::kInvalidArgument, "the name of the bucket is empty"};
  if (addressing == Addressing::kVirtual && !IsHostName(bucket)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("bucket '{}' cannot be part of a host name; use --addressing path", bucket)};
  }
  const bool is_virtual = addressing == Addressing::kVirtual ||
                          (addressing == Addressing::kAuto && IsAmazon(endpoint) && IsHostLabel(bucket));
  if (!is_virtual) {
    const std::string place = fmt::format("{}/{}", endpoint, EncodeComponent(bucket));
    return key.empty() ? place : fmt::format("{}/{}", place, EncodePath(key));
  }
  const size_t host = endpoint.find("://") + 3;
  return fmt::format("{}{}.{}/{}", endpoint.substr(0, host), bucket, endpoint.substr(host), EncodePath(key));
}

}  // namespace s3
}  // namespace s3overlay
