// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 messages as they pass a proxy (RFC 9112): read off a socket, looked at, changed, sent on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace s3overlay::testing {

struct HttpMessage {
  std::string start_line;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // Where it was read whole.

  // Null where there is none; names in any case.
  const std::string* Find(std::string_view name) const;
  void Set(std::string_view name, std::string value);
  void Remove(std::string_view name);

  std::optional<uint64_t> ContentLength() const;
  bool IsChunked() const;
  int Status() const;  // Of an answer: 200, …

  // Start line and headers as they stand on the wire, with the empty line.
  std::string Head() const;
};

// False when the peer is gone.
bool SendAll(int fd, std::string_view bytes);

// Reads off a socket that somebody else owns. Not thread-safe.
class SocketReader {
 public:
  explicit SocketReader(int fd) : fd_(fd) {}

  // Start line and headers; the body stays to be read. False: the peer closed, or what came is no HTTP.
  bool ReadHead(HttpMessage& message);

  // Up to `buffer.size()` bytes; 0 when the peer is gone.
  size_t ReadSome(std::span<char> buffer);

  // The whole body in the way in which `message` announces it, with Content-Length as its only framing afterwards.
  bool ReadBody(HttpMessage& message);

 private:
  bool Fill();
  bool ReadExactly(size_t size, std::string& out);
  bool ReadLine(std::string& line);
  bool ReadChunks(std::string& out);

  int fd_;
  std::string pending_;
};

}  // namespace s3overlay::testing
