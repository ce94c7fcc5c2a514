// SPDX-License-Identifier: Apache-2.0
#include "http/reception.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace s3overlay {
namespace {

constexpr size_t kMaxHeaderBytes = 256 * 1024;

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

// What a sink returns or throws is kept, and handed on once the C frames in between are gone.
template <typename Action>
bool Reception::Guard(Action action) {
  try {
    Result<void> result = action();
    if (result) return true;
    error_ = result.error();
  } catch (...) {
    thrown_ = std::current_exception();
  }
  return false;
}

bool Reception::TakeHeaderLine(std::string_view line) {
  return Guard([&] { return HandleHeaderLine(line); });
}

bool Reception::TakeBody(std::span<const std::byte> bytes) {
  return Guard([&]() -> Result<void> {
    if (bytes.empty() || !sink_.on_body) return {};
    return sink_.on_body(bytes);
  });
}

std::optional<Error> Reception::BreakOffError() const {
  if (thrown_) std::rethrow_exception(thrown_);
  return error_;
}

Result<void> Reception::HandleHeaderLine(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) return Error{ErrorCode::kUnavailable, "the answer's headers never end"};
  if (announced_) return {};  // Trailers of a chunked body.
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.empty()) return EndHeaders();
  if (line.starts_with("HTTP/")) {
    StartHeaders(line);
  } else {
    AddHeader(line);
  }
  return {};
}

// Every answer starts with a status line, interim ones too: what came before it does not count.
void Reception::StartHeaders(std::string_view line) {
  response_ = HttpResponse();
  const std::string_view code = line.substr(std::min(line.find(' '), line.size() - 1) + 1);
  std::from_chars(code.data(), code.data() + code.size(), response_.status);
}

void Reception::AddHeader(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {  // A folded line: one space joins it to the one before.
    if (!response_.headers.empty()) response_.headers.back().value.append(" ").append(Trim(line));
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.push_back({std::string(line.substr(0, colon)), std::string(Trim(line.substr(colon + 1)))});
}

Result<void> Reception::EndHeaders() {
  if (response_.status < 200) return {};
  announced_ = true;
  return sink_.on_headers ? sink_.on_headers(response_) : Result<void>();
}

}  // namespace s3overlay
