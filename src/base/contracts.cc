// SPDX-License-Identifier: Apache-2.0
//
// The few function bodies that belong to contracts and to no room.
#include <strings.h>

#include <fmt/format.h>

#include "s3overlay/credentials.h"
#include "s3overlay/file_source.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/object_store.h"

namespace s3overlay {

std::string_view FileTypeName(FileType type) {
  switch (type) {
    case FileType::kRegular: return "file";
    case FileType::kDirectory: return "directory";
    case FileType::kSymlink: return "symlink";
    case FileType::kFifo: return "fifo";
    case FileType::kSocket: return "socket";
    case FileType::kCharacterDevice: return "character device";
    case FileType::kBlockDevice: return "block device";
  }
  return "unknown";
}

std::string_view FileStateName(FileState state) {
  switch (state) {
    case FileState::kFresh: return "fresh";
    case FileState::kFallback: return "fallback";
    case FileState::kDegraded: return "degraded";
    case FileState::kStale: return "stale";
  }
  return "fresh";
}

Result<ByteChain> OpenFile::Borrow(uint64_t offset, size_t size, const CallContext& context) {
  const auto buffer = std::make_shared<std::vector<std::byte>>(size);
  Result<size_t> got = Read(offset, *buffer, context);
  if (!got) return got.error();
  ByteChain chain;
  if (*got > 0) chain.Append({std::span(*buffer).first(*got), buffer});
  return chain;
}

bool HasStrongEtag(const ObjectId& object) { return !object.etag.empty() && !object.etag.starts_with("W/"); }

const std::string* HttpResponse::FindHeader(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (header.name.size() == name.size() && ::strncasecmp(header.name.data(), name.data(), name.size()) == 0) {
      return &header.value;
    }
  }
  return nullptr;
}

std::string Credentials::Redacted() const {
  const size_t shown = access_key.size() >= 12 ? 4 : 0;
  return fmt::format("access key ...{} ({})", access_key.substr(access_key.size() - shown), origin);
}

}  // namespace s3overlay
