// SPDX-License-Identifier: Apache-2.0
#include "fuse/request.h"

#include <sys/uio.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace s3overlay {

Request::~Request() {
  if (!replied()) ReplyError(EIO);
}

fuse_req_t Request::Take() { return std::exchange(request_, nullptr); }

bool Request::ReplyError(int sys_errno) { return fuse_reply_err(Take(), sys_errno) == 0; }
bool Request::ReplyEntry(const fuse_entry_param& entry) { return fuse_reply_entry(Take(), &entry) == 0; }
bool Request::ReplyAttributes(const struct stat& attributes, double timeout_s) {
  return fuse_reply_attr(Take(), &attributes, timeout_s) == 0;
}
bool Request::ReplyOpen(const fuse_file_info& file) { return fuse_reply_open(Take(), &file) == 0; }
bool Request::ReplyData(std::span<const std::byte> bytes) {
  return fuse_reply_buf(Take(), reinterpret_cast<const char*>(bytes.data()), bytes.size()) == 0;
}
bool Request::ReplyData(const ByteChain& chain) {
  std::vector<iovec> pieces;
  pieces.reserve(chain.pieces().size());
  for (const SharedBytes& piece : chain.pieces()) {
    pieces.push_back({const_cast<std::byte*>(piece.bytes.data()), piece.bytes.size()});
  }
  return fuse_reply_iov(Take(), pieces.data(), static_cast<int>(pieces.size())) == 0;
}
bool Request::ReplyText(std::string_view target) {
  const std::string text(target);  // Before Take: what throws after it leaves the request without an answer.
  return fuse_reply_readlink(Take(), text.c_str()) == 0;
}
bool Request::ReplySpace(const struct statvfs& space) { return fuse_reply_statfs(Take(), &space) == 0; }

bool Request::ReplyXattr(std::string_view value, size_t room) {
  if (room == 0) return fuse_reply_xattr(Take(), value.size()) == 0;
  if (value.size() > room) return ReplyError(ERANGE);
  return fuse_reply_buf(Take(), value.data(), value.size()) == 0;
}

void Request::ReplyNone() { fuse_reply_none(Take()); }

}  // namespace s3overlay
