// SPDX-License-Identifier: Apache-2.0
#include "fuse/node_pruner.h"

#include <utility>

namespace s3overlay {
namespace {

constexpr Duration kInterval = std::chrono::seconds(1);

}  // namespace

NodePruner::NodePruner(fuse_session* session, const InodeTable& inodes, size_t max_nodes)
    : session_(session), inodes_(inodes), max_nodes_(max_nodes), thread_([this] { Run(); }) {}

NodePruner::~NodePruner() {
  Stop();
  thread_.join();
}

void NodePruner::Stop() {
  MutexLock lock(mu_);
  stopping_ = true;
  wake_.SignalAll();
  while (!ended_) wake_.Wait(mu_);
}

void NodePruner::Run() {
  Work();
  MutexLock lock(mu_);
  ended_ = true;
  wake_.SignalAll();
}

void NodePruner::InvalidateNotFresh() {
  {
    MutexLock lock(mu_);
    not_fresh_ = true;
  }
  wake_.SignalAll();
}

bool NodePruner::stopping() {
  MutexLock lock(mu_);
  return stopping_;
}

void NodePruner::Work() {
  while (true) {
    bool not_fresh = false;
    {
      MutexLock lock(mu_);
      if (!stopping_ && !not_fresh_) wake_.WaitFor(mu_, kInterval);
      if (stopping_) return;
      not_fresh = std::exchange(not_fresh_, false);
    }
    if (not_fresh) Invalidate(inodes_.NotFresh());
    const size_t nodes = inodes_.size();
    // A tenth below, so that the next walk does not start at the limit.
    if (nodes > max_nodes_) Invalidate(inodes_.Oldest(nodes - max_nodes_ + max_nodes_ / 10));
  }
}

void NodePruner::Invalidate(const std::vector<InodeTable::Dentry>& names) {
  for (const InodeTable::Dentry& dentry : names) {
    if (stopping()) return;
    // A name that the kernel has dropped by itself in the meantime is an error that means nothing.
    fuse_lowlevel_notify_inval_entry(session_, dentry.parent, dentry.name.data(), dentry.name.size());
  }
}

}  // namespace s3overlay
