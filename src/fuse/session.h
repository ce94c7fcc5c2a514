// SPDX-License-Identifier: Apache-2.0
//
// FuseSession: a FileSource as a mount of this machine. Sources: libfuse's low-level API (fuse_lowlevel.h), fuse(4),
// Documentation/filesystems/fuse of the Linux kernel.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/file_source.h"
#include "s3overlay/metrics.h"
#include "s3overlay/result.h"
#include "s3overlay/status_source.h"
#include "s3overlay/thread_pool.h"

namespace s3overlay {

struct FuseOptions {
  std::string mountpoint;                  // Absolute.
  std::string source_name = "s3overlay";   // Shown by mount(8) as the source.
  std::vector<std::string> mount_options;  // As after -o, one each.
  bool allow_other = false;                // Let other users in; the kernel checks modes.

  uid_t uid = 0;  // Owner of everything shown.
  gid_t gid = 0;
  mode_t file_mode = 0444;  // Of files that have no mode of their own; write permission is never shown.
  mode_t dir_mode = 0555;

  bool passthrough = true;
  // 0: backing files on ordinary file systems, and overlayfs may lie on top of the mount. 1: backing files that lie on
  // overlayfs themselves too (a container's cache), and no overlayfs on top.
  int backing_stack_depth = 0;
  std::string backing_stack_reason;  // Why it is so; for `status`.
  size_t max_backing_files = 512;    // See PassthroughOptions.
  bool xattr = true;                 // False: no extended attributes, and `ls -l` asks for none.

  int lane_count = 1;           // Lanes that the source names in kWouldBlock: 0 to lane_count - 1.
  size_t lane_threads = 32;     // Of each lane, for names and for bytes.
  size_t max_nodes = 200000;    // Above it the kernel is asked to forget the oldest idle names.
  bool prune_by_names = false;  // As kernels before 6.18 need it; for tests.

  Duration op_timeout = std::chrono::seconds(30);     // Reads and listings.
  Duration lookup_timeout = std::chrono::seconds(5);  // Names.
  int metadata_retries = 2;
  int read_retries = 5;
};

// Mount and Run on one thread; Stop from any. The source, the clock and the metrics outlive it. The destructor
// unmounts.
class FuseSession final : public StatusSource {
 public:
  // The mount is visible when it returns, and answers once Run has been called. kSystem or kInvalidArgument with the
  // reason.
  static Result<std::unique_ptr<FuseSession>> Mount(FuseOptions options, FileSource& source, const Clock& clock,
                                                    Metrics& metrics);
  ~FuseSession() override;
  FuseSession(const FuseSession&) = delete;
  FuseSession& operator=(const FuseSession&) = delete;

  // Serves until the mountpoint is unmounted or Stop is called, and returns when every call has ended.
  Result<void> Run();

  // Ends Run within seconds, whatever waits: the mountpoint is detached, calls that wait end with an error. Not from a
  // signal handler. May be called twice, and before Run.
  void Stop();

  // Whether the mountpoint still shows this very mount, and not what was there before or came later. Waits for nothing;
  // false once the session has begun to unmount by itself.
  bool IsStillMounted() const;

  // Asks the kernel to forget what degraded and stale answers told it: a store is back.
  void InvalidateNotFresh();

  bool passthrough_on() const;
  std::string passthrough_reason() const;  // Why it is off.

  // Calls that wait in the lanes.
  std::vector<QueueLength> GetQueues() const;

  // {libfuse, passthrough {on, reason, stack_depth, stack_reason}, nodes, open_handles}
  StatusObject GetStatus() const override;

 private:
  class Impl;
  explicit FuseSession(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace s3overlay
