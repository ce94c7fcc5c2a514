// SPDX-License-Identifier: Apache-2.0
//
// NodePruner: keeps the number of nodes that the kernel holds bounded, and makes it forget answers that no longer hold.
// A million names walked pin a million kernel inodes, and no forget comes before memory pressure.
//
// The kernel is told from a thread of its own: from inside a request it can deadlock with reads in flight.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cstddef>
#include <thread>
#include <vector>

#include "fuse/inode_table.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

// Thread-safe. The session and the table outlive it.
class NodePruner {
 public:
  NodePruner(fuse_session* session, const InodeTable& inodes, size_t max_nodes);
  ~NodePruner();
  NodePruner(const NodePruner&) = delete;
  NodePruner& operator=(const NodePruner&) = delete;

  // Returns at once.
  void InvalidateNotFresh() S3OVERLAY_EXCLUDES(mu_);

  // Returns when the kernel will be told no more. It may wait for a lookup in flight, so something must still answer.
  void Stop() S3OVERLAY_EXCLUDES(mu_);

 private:
  void Run() S3OVERLAY_EXCLUDES(mu_);
  void Work() S3OVERLAY_EXCLUDES(mu_);
  void Invalidate(const std::vector<InodeTable::Dentry>& names) S3OVERLAY_EXCLUDES(mu_);
  bool stopping() S3OVERLAY_EXCLUDES(mu_);

  fuse_session* const session_;
  const InodeTable& inodes_;
  const size_t max_nodes_;

  Mutex mu_;
  CondVar wake_;
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool ended_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool not_fresh_ S3OVERLAY_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace s3overlay
