// SPDX-License-Identifier: Apache-2.0
//
// Request: one request of the kernel. It is answered exactly once, whatever happens: who drops it unanswered answers
// EIO.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <span>
#include <string_view>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "s3overlay/byte_chain.h"

namespace s3overlay {

// Bytes of one read request at most; the session's max_read option says the same.
inline constexpr unsigned kMaxRead = 1 << 20;

// Used by one thread at a time. True from a reply means that the kernel took it (an open or entry that it did not take
// will see no release or forget).
class Request {
 public:
  explicit Request(fuse_req_t request) : request_(request) {}
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  bool ReplyError(int sys_errno);
  bool ReplyEntry(const fuse_entry_param& entry);
  bool ReplyAttributes(const struct stat& attributes, double timeout_s);
  bool ReplyOpen(const fuse_file_info& file);
  bool ReplyData(std::span<const std::byte> bytes);
  bool ReplyData(const ByteChain& chain);
  bool ReplyText(std::string_view target);  // A symlink's target.
  bool ReplySpace(const struct statvfs& space);
  // getxattr and listxattr: the size alone where `room` is 0, ERANGE where it is too small.
  bool ReplyXattr(std::string_view value, size_t room);
  void ReplyNone();

  bool replied() const { return request_ == nullptr; }
  fuse_req_t handle() const { return request_; }

 private:
  fuse_req_t Take();

  fuse_req_t request_;
};

}  // namespace s3overlay
