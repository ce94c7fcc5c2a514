// SPDX-License-Identifier: Apache-2.0
#include "support/mount/http_message.h"

#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace s3overlay::testing {
namespace {

constexpr size_t kMaxHeadBytes = 64 * 1024;

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

const std::string* HttpMessage::Find(std::string_view name) const {
  const auto found =
      std::find_if(headers.begin(), headers.end(), [&](const auto& header) { return SameName(header.first, name); });
  return found == headers.end() ? nullptr : &found->second;
}

void HttpMessage::Set(std::string_view name, std::string value) {
  Remove(name);
  headers.emplace_back(name, std::move(value));
}

void HttpMessage::Remove(std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return SameName(header.first, name); });
}

std::optional<uint64_t> HttpMessage::ContentLength() const {
  const std::string* const length = Find("Content-Length");
  if (length == nullptr) return std::nullopt;
  return std::strtoull(length->c_str(), nullptr, 10);
}

bool HttpMessage::IsChunked() const {
  const std::string* const encoding = Find("Transfer-Encoding");
  return encoding != nullptr && SameName(*encoding, "chunked");
}

int HttpMessage::Status() const {
  const size_t space = start_line.find(' ');
  return space == std::string::npos ? 0 : std::atoi(start_line.c_str() + space + 1);
}

std::string HttpMessage::Head() const {
  std::string head = start_line + "\r\n";
  for (const auto& [name, value] : headers) head.append(name).append(": ").append(value).append("\r\n");
  return head + "\r\n";
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool SocketReader::Fill() {
  std::array<char, 16 * 1024> buffer{};
  const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got > 0) pending_.append(buffer.data(), static_cast<size_t>(got));
  return got > 0;
}

size_t SocketReader::ReadSome(std::span<char> buffer) {
  if (pending_.empty()) {
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    return got > 0 ? static_cast<size_t>(got) : 0;
  }
  const size_t taken = std::min(buffer.size(), pending_.size());
  std::memcpy(buffer.data(), pending_.data(), taken);
  pending_.erase(0, taken);
  return taken;
}

bool SocketReader::ReadExactly(size_t size, std::string& out) {
  std::array<char, 64 * 1024> buffer{};
  while (size > 0) {
    const size_t got = ReadSome(std::span(buffer).first(std::min(size, buffer.size())));
    if (got == 0) return false;
    out.append(buffer.data(), got);
    size -= got;
  }
  return true;
}

bool SocketReader::ReadLine(std::string& line) {
  size_t end = 0;
  while ((end = pending_.find("\r\n")) == std::string::npos) {
    if (pending_.size() > kMaxHeadBytes || !Fill()) return false;
  }
  line = pending_.substr(0, end);
  pending_.erase(0, end + 2);
  return true;
}

bool SocketReader::ReadHead(HttpMessage& message) {
  message = {};
  if (!ReadLine(message.start_line)) return false;
  for (std::string line; ReadLine(line);) {
    if (line.empty()) return true;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) return false;
    message.headers.emplace_back(line.substr(0, colon), Trimmed(std::string_view(line).substr(colon + 1)));
  }
  return false;
}

bool SocketReader::ReadChunks(std::string& out) {
  for (std::string line; ReadLine(line);) {
    const size_t size = std::strtoull(line.c_str(), nullptr, 16);
    if (!ReadExactly(size, out) || !ReadLine(line)) return false;
    if (size == 0) return true;
  }
  return false;
}

bool SocketReader::ReadBody(HttpMessage& message) {
  if (const auto length = message.ContentLength()) return ReadExactly(*length, message.body);
  if (!message.IsChunked()) return true;
  if (!ReadChunks(message.body)) return false;
  message.Remove("Transfer-Encoding");
  message.Set("Content-Length", std::to_string(message.body.size()));
  return true;
}

}  // namespace s3overlay::testing
