// SPDX-License-Identifier: Apache-2.0
//
// InodeTable: what each node id of the kernel stands for. A file's node stands for (path, source, version, mode) and
// not for a path: a new version, another source, or an object that has become complete gets a new node at the next
// lookup, and old handles keep the old one, so that page cache, mappings and passthrough of two versions never meet. A
// directory's node belongs to its path and never changes, or bind mounts below it would come off.
//
// Node ids are never used again. Lock order: the table's before a node's.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/file_source.h"
#include "s3overlay/mutex.h"

namespace s3overlay {

// st_ino: by path, source and version, or `tail -F` would never see that a file is another one now.
uint64_t InodeNumber(std::string_view path, const Entry& entry);

// One node. Thread-safe.
class Node {
 public:
  Node(fuse_ino_t id, std::string path, Entry entry, bool passthrough);

  fuse_ino_t id() const { return id_; }
  const std::string& path() const { return path_; }
  bool passthrough() const { return passthrough_; }
  bool is_directory() const { return is_directory_; }
  uint64_t inode_number() const { return inode_number_; }

  // What the latest lookup of this node answered.
  std::shared_ptr<const Entry> entry() const S3OVERLAY_EXCLUDES(mu_);
  void SetEntry(Entry entry) S3OVERLAY_EXCLUDES(mu_);

  // What the handles show: entry(), or another version where the kernel had no other node to open (AddOpenFile).
  std::shared_ptr<const Entry> shown() const S3OVERLAY_EXCLUDES(mu_);

  // Any handle of this node that is open, to ask an open file's own attributes; null where none is.
  std::shared_ptr<OpenFile> open_file() const S3OVERLAY_EXCLUDES(mu_);

  // A handle that shows `entry`. False, and nothing done, where handles that show another version are open: the kernel
  // has one set of pages for all handles and mappings of a node.
  bool AddOpenFile(const std::shared_ptr<OpenFile>& file, const Entry& entry) S3OVERLAY_EXCLUDES(mu_);

  bool shows_other() const S3OVERLAY_EXCLUDES(mu_);

  // Whether every page that the kernel has of this node is of entry()'s version, for good.
  bool keeps_pages() const S3OVERLAY_EXCLUDES(mu_);

 private:
  const fuse_ino_t id_;
  const std::string path_;
  const bool passthrough_;
  const bool is_directory_;
  const uint64_t inode_number_;

  mutable Mutex mu_;
  std::shared_ptr<const Entry> entry_ S3OVERLAY_GUARDED_BY(mu_);
  std::shared_ptr<const Entry> other_ S3OVERLAY_GUARDED_BY(mu_);               // Shown in place of entry_; else null.
  bool showed_other_ S3OVERLAY_GUARDED_BY(mu_) = false;                        // At any time.
  std::vector<std::weak_ptr<OpenFile>> open_files_ S3OVERLAY_GUARDED_BY(mu_);  // Closed ones among them.
};
using NodePtr = std::shared_ptr<Node>;

// Thread-safe.
class InodeTable {
 public:
  explicit InodeTable(const Clock& clock);

  // Null for an id that the kernel was never told or has forgotten.
  NodePtr Find(fuse_ino_t id) const S3OVERLAY_EXCLUDES(mu_);

  // The node of what a lookup of `path` answered; the kernel will count one lookup more.
  NodePtr Remember(std::string path, Entry entry, bool passthrough) S3OVERLAY_EXCLUDES(mu_);

  void Forget(fuse_ino_t id, uint64_t lookups) S3OVERLAY_EXCLUDES(mu_);

  // True where an open of `node` must be refused with ESTALE, which makes the kernel look the name up again: another
  // node has taken its path, no lookup returned it within the last second, and it has not just refused an open, nor
  // any since it was last looked up. Else the refusal would reach the program again and again (/proc/self/fd,
  // bind-mounted files, names that flap). True counts as refused.
  bool ShouldRefuseOpen(const Node& node) S3OVERLAY_EXCLUDES(mu_);

  // The same for a node whose version its source no longer has, whatever is at its path.
  bool ShouldRefuseGoneVersion(const Node& node) S3OVERLAY_EXCLUDES(mu_);

  size_t size() const S3OVERLAY_EXCLUDES(mu_);

  // A name as the kernel knows it.
  struct Dentry {
    fuse_ino_t parent = 0;
    std::string name;
  };

  // A node that the kernel may be asked to let go of.
  struct Candidate {
    fuse_ino_t id = 0;
    Dentry dentry;
    std::string path;
    bool is_idle_file = false;  // It has its name still, and is not open.
  };

  // Up to `count` nodes that were looked up longest ago, the root excepted. All others come before one of them is given
  // out again.
  std::vector<Candidate> TakeOldest(size_t count) S3OVERLAY_EXCLUDES(mu_);

  // Names of files whose latest answer was degraded or stale.
  std::vector<Dentry> NotFresh() const S3OVERLAY_EXCLUDES(mu_);

 private:
  using Ages = std::list<fuse_ino_t>;  // Looked up longest ago first.

  struct Slot {
    NodePtr node;
    uint64_t lookups = 0;
    TimePoint looked_up_at{};
    TimePoint refused_open_at = TimePoint::min();
    fuse_ino_t parent = 0;
    Ages::iterator age{};
  };

  static bool IsNodeOf(const Node& node, const Entry& entry, bool passthrough);
  Slot* CurrentAt(std::string_view path) const S3OVERLAY_REQUIRES(mu_);  // Null where there is none.
  bool IsCurrent(const Slot& slot) const S3OVERLAY_REQUIRES(mu_);
  bool RefuseOnce(Slot& slot) const;
  void Touch(Slot& slot) S3OVERLAY_REQUIRES(mu_);
  NodePtr MakeNode(std::string path, Entry entry, bool passthrough) S3OVERLAY_REQUIRES(mu_);
  static Dentry DentryOf(const Slot& slot);

  const Clock& clock_;

  mutable Mutex mu_;
  std::unordered_map<fuse_ino_t, Slot> slots_ S3OVERLAY_GUARDED_BY(mu_);
  std::unordered_map<std::string_view, Slot*> current_ S3OVERLAY_GUARDED_BY(mu_);  // Views of Node::path; into slots_.
  std::unordered_set<fuse_ino_t> not_fresh_ S3OVERLAY_GUARDED_BY(mu_);
  Ages ages_ S3OVERLAY_GUARDED_BY(mu_);
  fuse_ino_t next_id_ S3OVERLAY_GUARDED_BY(mu_) = FUSE_ROOT_ID + 1;
};

}  // namespace s3overlay
