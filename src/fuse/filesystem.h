// SPDX-License-Identifier: Apache-2.0
//
// Filesystem: what each request of the kernel means in terms of a FileSource. It translates and never decides. Every
// call is first tried on the FUSE thread that received it, without waiting; what would wait runs again in a lane.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuse/attributes.h"
#include "fuse/failure_log.h"
#include "fuse/handle_table.h"
#include "fuse/inode_table.h"
#include "fuse/kernel_readahead.h"
#include "fuse/lanes.h"
#include "fuse/passthrough.h"
#include "fuse/request.h"
#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/file_source.h"
#include "s3overlay/metrics.h"

namespace s3overlay {

struct FilesystemOptions {
  Ownership ownership;
  PassthroughOptions passthrough;
  bool xattr = true;          // False answers ENOSYS once, and the kernel asks no more.
  size_t max_nodes = 200000;  // A quarter above it listings make no more: a walk is faster than the pruner.
  LanesOptions lanes;
  Duration read_timeout = std::chrono::seconds(30);  // Reads and listings.
  // Names. A second process that looks up the same name cannot even be killed before the first is answered.
  Duration lookup_timeout = std::chrono::seconds(5);
  int lookup_retries = 2;
  int read_retries = 5;
};

// Thread-safe. `source`, `clock` and `metrics` outlive it.
class Filesystem {
 public:
  Filesystem(const FilesystemOptions& options, FileSource& source, const Clock& clock, Metrics& metrics);
  ~Filesystem();

  // The callbacks; the session's user data is the Filesystem.
  static fuse_lowlevel_ops Operations();

  // In the session's init: what is asked of the kernel.
  void Negotiate(fuse_conn_info* connection);

  // Before the session runs.
  void Attach(fuse_session* session) { session_ = session; }

  // Ends every call that waits. The loop of the session has ended.
  void Stop();
  // Calls that wait from now on end at once.
  void Cancel() { cancelled_ = true; }

  InodeTable& inodes() { return inodes_; }
  const Passthrough& passthrough() const { return passthrough_; }
  KernelReadahead& readahead() { return readahead_; }
  uint64_t open_handles() const { return files_.size(); }
  std::vector<QueueLength> GetQueues() const { return lanes_.GetQueues(); }

 private:
  friend struct Callbacks;

  struct FileHandle;
  struct DirectoryHandle;
  struct DirectoryPage;

  struct Opened {
    std::shared_ptr<OpenFile> file;
    std::shared_ptr<const Entry> entry;  // What it is.
  };

  using Operation = std::function<Result<void>(Request&, const CallContext&)>;

  // Runs `operation` now or in a lane; an error that it returns is the answer.
  void Dispatch(fuse_req_t request, LaneKind kind, Operation operation);
  void Handle(const std::shared_ptr<Request>& request, LaneKind kind, Operation operation);
  CallContext ContextOf(LaneKind kind, bool may_block) const;
  static Result<void> Attempt(const Operation& operation, Request& request, const CallContext& context);
  static void Finish(Request& request, const Result<void>& result);

  Result<NodePtr> NodeOf(fuse_ino_t id) const;
  fuse_entry_param Introduce(std::string path, Entry entry);
  bool WantsPassthrough(const Entry& entry) const;
  ReadaheadReach ReachOf(const Entry& entry) const;

  Result<void> Lookup(Request& request, fuse_ino_t parent, const std::string& name, const CallContext& context);
  Result<void> GetAttributes(Request& request, fuse_ino_t id, const CallContext& context);
  Result<void> ReadLink(Request& request, fuse_ino_t id, const CallContext& context);
  Result<void> Open(Request& request, fuse_ino_t id, fuse_file_info file, const CallContext& context);
  Result<void> OpenAgain(Request& request, const NodePtr& node, fuse_file_info file, const CallContext& context);
  Result<void> ReplyOpened(Request& request, const NodePtr& node, Opened opened, fuse_file_info file);
  Result<void> Read(Request& request, const FileHandle& handle, size_t size, uint64_t offset,
                    const CallContext& context);
  void Release(Request& request, fuse_ino_t id, uint64_t handle);
  void ReleaseDirectory(Request& request, uint64_t handle);
  Result<void> OpenDirectory(Request& request, fuse_ino_t id, fuse_file_info file, const CallContext& context);
  Result<void> ReadDirectory(Request& request, const DirectoryHandle& handle, size_t size, uint64_t offset, bool plus);
  bool HasRoomForNodes() const { return inodes_.size() < options_.max_nodes + options_.max_nodes / 4; }
  static fuse_entry_param DescribeDots(const DirectoryHandle& handle);
  fuse_entry_param DescribeEntry(const DirectoryHandle& handle, size_t index, const std::string& name,
                                 DirectoryPage& page);
  Result<void> GetSpace(Request& request);
  Result<void> GetXattr(Request& request, fuse_ino_t id, const std::string& name, size_t room);
  Result<void> ListXattr(Request& request, fuse_ino_t id, size_t room);

  const FilesystemOptions options_;
  FileSource& source_;
  const Clock& clock_;
  Metrics& metrics_;

  fuse_session* session_ = nullptr;  // Constant once it runs.
  std::atomic<bool> cancelled_ = false;
  FailureLog failures_;
  HandleTable<FileHandle> files_;
  HandleTable<DirectoryHandle> directories_;
  InodeTable inodes_;
  Passthrough passthrough_;
  KernelReadahead readahead_;
  Lanes lanes_;  // Last: its threads use all of the above.
};

}  // namespace s3overlay
