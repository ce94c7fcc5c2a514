// SPDX-License-Identifier: Apache-2.0
//
// NodePruner: keeps the number of nodes that the kernel holds bounded, and makes it forget answers that no longer hold.
// A million names walked pin a million kernel inodes, and no forget comes before memory pressure.
//
// Linux 6.18 has a call for it (FUSE_NOTIFY_PRUNE), which drops what nobody uses and leaves all else alone. Before,
// names are invalidated one by one, and whatever is mounted on such a name would come off, or lose its working
// directory: so only names of files that are not open, and none on which something is mounted in any mount namespace.
// Directories then go when the kernel itself drops them.
//
// The kernel is told from a thread of its own: from inside a request it can deadlock with reads in flight.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fuse/inode_table.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

struct NodePrunerOptions {
  size_t max_nodes = 200000;
  std::string device;          // "major:minor" of the mount.
  bool by_names_only = false;  // As on a kernel before 6.18; for tests.
};

// Thread-safe. The session and the table outlive it.
class NodePruner {
 public:
  NodePruner(fuse_session* session, InodeTable& inodes, NodePrunerOptions options);
  ~NodePruner();
  NodePruner(const NodePruner&) = delete;
  NodePruner& operator=(const NodePruner&) = delete;

  // Returns at once.
  void InvalidateNotFresh() S3OVERLAY_EXCLUDES(mu_);

  // Returns when the kernel will be told no more. It may wait for a lookup in flight, so something must still answer.
  void Stop() S3OVERLAY_EXCLUDES(mu_);

 private:
  using Candidates = std::vector<InodeTable::Candidate>;

  void Run() S3OVERLAY_EXCLUDES(mu_);
  void Work() S3OVERLAY_EXCLUDES(mu_);
  void Prune(size_t count) S3OVERLAY_EXCLUDES(mu_);
  bool PruneNodes(const Candidates& candidates);
  void PruneNames(const Candidates& candidates, const std::set<std::string>& mounts) S3OVERLAY_EXCLUDES(mu_);
  void Expire(const InodeTable::Dentry& dentry);
  void Invalidate(const InodeTable::Dentry& dentry);
  bool stopping() S3OVERLAY_EXCLUDES(mu_);

  fuse_session* const session_;
  InodeTable& inodes_;
  const NodePrunerOptions options_;
  bool by_names_;            // Of the thread alone, as the next.
  size_t futile_below_ = 0;  // Of so many nodes none could be pruned by its name: they are directories, or in use.

  Mutex mu_;
  CondVar wake_;
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool ended_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool not_fresh_ S3OVERLAY_GUARDED_BY(mu_) = false;

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace s3overlay
