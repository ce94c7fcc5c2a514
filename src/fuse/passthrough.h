// SPDX-License-Identifier: Apache-2.0
//
// Passthrough: which opens the kernel reads from the backing file by itself, without the daemon.
//
// The kernel's rules (6.9 and newer): one backing file a node; cached handles and passthrough handles never at the same
// time on one node (the second open would fail with EIO); handles with direct_io do not stand in the way. So the first
// open of a node decides for all that come while it lasts. Needs libfuse 3.17 and CAP_SYS_ADMIN.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "fuse/request.h"
#include "s3overlay/file_source.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

enum class HandleMode { kCached, kPassthrough, kDirect };

struct PassthroughOptions {
  bool wanted = true;
  // 0 serves backing files on ordinary file systems and lets overlayfs lie on top of the mount; 1 serves backing files
  // that lie on overlayfs themselves.
  int stack_depth = 0;
};

// Thread-safe.
class Passthrough {
 public:
  explicit Passthrough(const PassthroughOptions& options) : options_(options) {}

  // In the session's init. Turns it on where the kernel and the library can.
  void Negotiate(fuse_conn_info* connection) S3OVERLAY_EXCLUDES(mu_);

  bool on() const { return on_; }
  std::string reason() const S3OVERLAY_EXCLUDES(mu_);  // Why it is off, or not for every file; else empty.

  // Decides how an open of node `id` is answered and fills in `file`. `wanted`: the node's mode is passthrough. Every
  // Acquire has its Release.
  HandleMode Acquire(const Request& request, fuse_ino_t id, bool wanted, OpenFile& open_file, fuse_file_info* file)
      S3OVERLAY_EXCLUDES(mu_);
  void Release(const Request& request, fuse_ino_t id, HandleMode mode) S3OVERLAY_EXCLUDES(mu_);

  // The kernel did not take the open. Without a request the backing file cannot be given back now: the node's next
  // handle does it.
  void Abandon(fuse_ino_t id, HandleMode mode) S3OVERLAY_EXCLUDES(mu_);

 private:
  // Open handles of one node.
  struct Use {
    int cached = 0;
    int passed_through = 0;
    int backing_id = 0;
    std::shared_ptr<BackingFile> backing;
  };

  bool MayRegister(fuse_ino_t id) const S3OVERLAY_EXCLUDES(mu_);
  bool Register(const Request& request, std::shared_ptr<BackingFile> backing, Use* use) S3OVERLAY_REQUIRES(mu_);
  void NoteRefusal(int sys_errno, dev_t device) S3OVERLAY_REQUIRES(mu_);

  const PassthroughOptions options_;

  std::atomic<bool> on_{false};

  // Held over the ioctls that register a backing file: they do not wait.
  mutable Mutex mu_;
  std::string reason_ S3OVERLAY_GUARDED_BY(mu_) = "the mount has not started yet";
  std::set<dev_t> refused_devices_ S3OVERLAY_GUARDED_BY(mu_);  // File systems whose files the kernel did not take.
  std::unordered_map<fuse_ino_t, Use> uses_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
