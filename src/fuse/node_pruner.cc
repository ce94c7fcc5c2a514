// SPDX-License-Identifier: Apache-2.0
#include "fuse/node_pruner.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <new>
#include <optional>
#include <set>
#include <utility>

#include "fuse/mounts_within.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr Duration kInterval = std::chrono::seconds(1);
constexpr size_t kBatch = 1024;  // Nodes told of at a time; the table is locked while they are picked.

// linux/fuse.h of 6.18 (protocol 7.45); the headers in use may be older.
constexpr int kNotifyPrune = 9;
struct PruneMessage {
  fuse_out_header header;
  uint32_t count;
  uint32_t padding;
  uint64_t spare;
  std::array<uint64_t, kBatch> nodes;
};

// Libfuse before 3.17 takes flags, of which there is one.
template <typename Session>
void ExpireEntry(Session* session, fuse_ino_t parent, const std::string& name) {
  if constexpr (requires { fuse_lowlevel_notify_expire_entry(session, parent, name.data(), name.size()); }) {
    fuse_lowlevel_notify_expire_entry(session, parent, name.data(), name.size());
  } else {
    fuse_lowlevel_notify_expire_entry(session, parent, name.data(), name.size(), FUSE_LL_EXPIRE_ONLY);
  }
}

}  // namespace

NodePruner::NodePruner(fuse_session* session, InodeTable& inodes, NodePrunerOptions options)
    : session_(session),
      inodes_(inodes),
      options_(std::move(options)),
      by_names_(options_.by_names_only),
      thread_([this] { Run(); }) {}

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
  while (!stopping()) {
    try {
      Work();
    } catch (const std::bad_alloc&) {
      log::Error("no memory to tell the kernel what it may forget; tried again in a second");
    }
  }
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
    if (not_fresh) {
      for (const InodeTable::Dentry& dentry : inodes_.NotFresh()) Expire(dentry);
    }
    const size_t nodes = inodes_.size();
    if (nodes <= options_.max_nodes || nodes <= futile_below_) continue;
    // A tenth below, so that the next walk does not start at the limit.
    Prune(nodes - options_.max_nodes + options_.max_nodes / 10);
    futile_below_ = by_names_ && inodes_.size() >= nodes ? nodes + options_.max_nodes / 10 : 0;
  }
}

void NodePruner::Prune(size_t count) {
  std::optional<std::set<std::string>> mounts;
  for (size_t told = 0; told < count && !stopping();) {
    const Candidates candidates = inodes_.TakeOldest(std::min(kBatch, count - told));
    if (candidates.empty()) return;
    told += candidates.size();
    if (!by_names_ && !PruneNodes(candidates)) {
      log::Debug("the kernel cannot prune nodes: names are invalidated instead");
      by_names_ = true;
    }
    if (!by_names_) continue;
    if (!mounts) mounts = MountsWithin(options_.device);
    PruneNames(candidates, *mounts);
  }
}

// False: the kernel does not know the call.
bool NodePruner::PruneNodes(const Candidates& candidates) {
  PruneMessage message{};
  message.count = static_cast<uint32_t>(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) message.nodes[i] = candidates[i].id;
  const size_t size = offsetof(PruneMessage, nodes) + candidates.size() * sizeof(uint64_t);
  message.header = {.len = static_cast<uint32_t>(size), .error = kNotifyPrune, .unique = 0};
  return ::write(fuse_session_fd(session_), &message, size) >= 0 || errno != EINVAL;
}

void NodePruner::PruneNames(const Candidates& candidates, const std::set<std::string>& mounts) {
  for (const InodeTable::Candidate& candidate : candidates) {
    if (stopping()) return;
    if (candidate.is_idle_file && !mounts.contains(candidate.path)) Invalidate(candidate.dentry);
  }
}

// The next who comes by the name asks; what is mounted on it stays. A kernel that cannot (before 6.2) does so within a
// second in any case: longer no answer of an outage is given to it for.
void NodePruner::Expire(const InodeTable::Dentry& dentry) { ExpireEntry(session_, dentry.parent, dentry.name); }

// A name that the kernel has dropped by itself in the meantime is an error that means nothing.
void NodePruner::Invalidate(const InodeTable::Dentry& dentry) {
  fuse_lowlevel_notify_inval_entry(session_, dentry.parent, dentry.name.data(), dentry.name.size());
}

}  // namespace s3overlay
