// SPDX-License-Identifier: Apache-2.0
#include "s3/request_signer.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "s3/dates.h"

namespace s3overlay::s3 {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Only out of memory, or an OpenSSL without SHA-256, makes these fail.
bool Sha256(std::string_view text, Digest* digest) {
  return EVP_Digest(text.data(), text.size(), digest->data(), nullptr, EVP_sha256(), nullptr) == 1;
}

bool Hmac(std::string_view key, std::string_view text, Digest* digest) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  return HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest->data(), nullptr) !=
         nullptr;
}

std::string_view AsText(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

std::string Hex(const Digest& digest) { return fmt::format("{:02x}", fmt::join(digest, "")); }

struct UrlParts {
  std::string_view host;
  std::string_view path;
  std::string_view query;
};

UrlParts Split(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  UrlParts parts;
  const size_t mark = url.find('?');
  if (mark != std::string_view::npos) parts.query = url.substr(mark + 1);
  url = url.substr(0, mark);
  const size_t slash = url.find('/');
  parts.host = url.substr(0, slash);
  parts.path = slash == std::string_view::npos ? std::string_view("/") : url.substr(slash);
  return parts;
}

// Sorted by name, then value; a name without '=' gets one.
std::string CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    const size_t equals = one.find('=');
    parameters.emplace_back(one.substr(0, equals), equals == one.npos ? std::string_view() : one.substr(equals + 1));
  }
  std::ranges::sort(parameters);
  std::string text;
  for (const auto& [name, value] : parameters) text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

// Lower-case name and value without the spaces around it, sorted; the form in which headers are signed.
std::vector<HttpHeader> CanonicalHeaders(const HttpRequest& request, std::string_view host) {
  std::vector<HttpHeader> headers = request.headers;
  headers.push_back({"host", std::string(host)});
  for (HttpHeader& header : headers) {
    std::ranges::transform(header.name, header.name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const size_t first = header.value.find_first_not_of(' ');
    const size_t last = header.value.find_last_not_of(' ');
    header.value = first == std::string::npos ? "" : header.value.substr(first, last - first + 1);
  }
  std::ranges::sort(headers, {}, &HttpHeader::name);
  return headers;
}

struct CanonicalRequest {
  std::string text;
  std::string signed_headers;
};

CanonicalRequest MakeCanonicalRequest(const HttpRequest& request, std::string_view payload_hash) {
  const UrlParts url = Split(request.url);
  CanonicalRequest canonical;
  std::string header_lines;
  for (const HttpHeader& header : CanonicalHeaders(request, url.host)) {
    header_lines += fmt::format("{}:{}\n", header.name, header.value);
    canonical.signed_headers += fmt::format("{}{}", canonical.signed_headers.empty() ? "" : ";", header.name);
  }
  canonical.text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, url.path, CanonicalQuery(url.query),
                               header_lines, canonical.signed_headers, payload_hash);
  return canonical;
}

// The key of a day, region and service, and with it the signature of `text`.
bool Sign(const Credentials& credentials, std::array<std::string_view, 4> scope, std::string_view text, Digest* out) {
  const std::string start = "AWS4" + credentials.secret_key;
  Digest key{};
  bool ok = Hmac(start, scope[0], &key);
  for (size_t i = 1; i < scope.size() && ok; ++i) {
    const Digest previous = key;
    ok = Hmac(AsText(previous), scope[i], &key);
  }
  return ok && Hmac(AsText(key), text, out);
}

Error NoCryptography() { return {ErrorCode::kSystem, "OpenSSL could not compute SHA-256", ENOMEM}; }

}  // namespace

Result<HttpRequest> SignRequest(HttpRequest request, const Credentials& credentials, const SigningScope& scope) {
  const std::string time = FormatSigningTime(scope.now);
  const std::string day = time.substr(0, 8);
  Digest digest{};
  if (!Sha256(request.body, &digest)) return NoCryptography();
  const std::string payload_hash = Hex(digest);
  request.headers.push_back({"x-amz-content-sha256", payload_hash});
  request.headers.push_back({"x-amz-date", time});
  if (!credentials.session_token.empty()) {
    request.headers.push_back({"x-amz-security-token", credentials.session_token});
  }

  const CanonicalRequest canonical = MakeCanonicalRequest(request, payload_hash);
  if (!Sha256(canonical.text, &digest)) return NoCryptography();
  const std::string scope_text = fmt::format("{}/{}/s3/aws4_request", day, scope.region);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope_text, Hex(digest));
  if (!Sign(credentials, {day, scope.region, "s3", "aws4_request"}, to_sign, &digest)) return NoCryptography();
  request.headers.push_back(
      {"Authorization", fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                                    credentials.access_key, scope_text, canonical.signed_headers, Hex(digest))});
  return request;
}

}  // namespace s3overlay::s3
