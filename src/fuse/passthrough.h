// SPDX-License-Identifier: Apache-2.0
//
// Passthrough: which opens the kernel reads from the backing file by itself, without the daemon.
//
// The kernel's rules (6.9 and newer): one backing file a node; cached handles and passthrough handles never at the same
// time on one node (the second open would fail with EIO); handles with direct_io do not stand in the way. So the first
// open of a node decides for all that come while it lasts. Needs libfuse 3.17 and CAP_SYS_ADMIN. Sources:
// fuse_lowlevel.h of libfuse 3.17, fs/fuse/passthrough.c of Linux 6.18.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

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
  // Nodes with a backing file at a time. Each pins a descriptor, here and in the kernel, for as long as a handle is
  // open: what is opened beyond that is read through the daemon.
  size_t max_backing_files = 512;
};

// The kernel's table of backing files. Another one is for tests.
class BackingRegistry {
 public:
  virtual ~BackingRegistry() = default;
  virtual int Open(const Request& request, int fd) = 0;  // An id above zero, or a negative errno.
  virtual void Close(const Request& request, int id) = 0;

  static BackingRegistry& OfKernel();
};

// Thread-safe.
class Passthrough {
 public:
  // `registry` outlives it.
  explicit Passthrough(const PassthroughOptions& options, BackingRegistry& registry = BackingRegistry::OfKernel())
      : options_(options), registry_(registry) {}

  // In the session's init. Turns it on where the kernel and the library can.
  void Negotiate(fuse_conn_info* connection) S3OVERLAY_EXCLUDES(mu_);

  bool on() const { return on_; }
  std::string reason() const S3OVERLAY_EXCLUDES(mu_);  // Why it is off, or not for every file; else empty.

  // Decides how an open of node `id` is answered and fills in `file`. `wanted`: the node's mode is passthrough. Every
  // Acquire has its Release.
  HandleMode Acquire(const Request& request, fuse_ino_t id, bool wanted, OpenFile& open_file, fuse_file_info* file)
      S3OVERLAY_EXCLUDES(mu_);
  void Release(const Request& request, fuse_ino_t id, HandleMode mode) S3OVERLAY_EXCLUDES(mu_);

  // The kernel did not take the open. Without a request the backing file cannot be given back now: the next open does
  // it.
  void Abandon(fuse_ino_t id, HandleMode mode) S3OVERLAY_EXCLUDES(mu_);

 private:
  // Open handles of one node.
  struct Use {
    int cached = 0;
    int passed_through = 0;
    int backing_id = 0;
    std::shared_ptr<BackingFile> backing;
  };

  using Uses = std::unordered_map<fuse_ino_t, Use>;

  bool MayRegister(fuse_ino_t id) const S3OVERLAY_EXCLUDES(mu_);
  bool Register(const Request& request, std::shared_ptr<BackingFile> backing, Use* use) S3OVERLAY_REQUIRES(mu_);
  void NoteRefusal(int sys_errno, dev_t device) S3OVERLAY_REQUIRES(mu_);
  void GiveBack(const Request& request, Uses::iterator use) S3OVERLAY_REQUIRES(mu_);

  const PassthroughOptions options_;
  BackingRegistry& registry_;

  std::atomic<bool> on_{false};

  // Held over the ioctls that register a backing file: they do not wait.
  mutable Mutex mu_;
  std::string reason_ S3OVERLAY_GUARDED_BY(mu_) = "the mount has not started yet";
  std::set<dev_t> refused_devices_ S3OVERLAY_GUARDED_BY(mu_);  // File systems whose files the kernel did not take.
  Uses uses_ S3OVERLAY_GUARDED_BY(mu_);
  size_t registered_ S3OVERLAY_GUARDED_BY(mu_) = 0;              // Nodes that have a backing file.
  std::vector<fuse_ino_t> abandoned_ S3OVERLAY_GUARDED_BY(mu_);  // Of these something may have to be given back.
};

}  // namespace s3overlay
