// SPDX-License-Identifier: Apache-2.0
//
// Files: open, read, release.
#include <fcntl.h>
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "fuse/handles.h"

namespace s3overlay {

Result<void> Filesystem::Open(Request& request, fuse_ino_t id, fuse_file_info file, const CallContext& context) {
  if ((file.flags & O_ACCMODE) != O_RDONLY || (file.flags & O_TRUNC) != 0) return SystemError(EROFS, "open to write");
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  if (inodes_.ShouldRefuseOpen(**node)) {
    return Error{ErrorCode::kVersionGone, "the name has come to mean another version"};
  }
  const std::shared_ptr<const Entry> entry = (*node)->entry();
  Result<std::shared_ptr<OpenFile>> opened = source_.Open(*entry, context);
  if (opened) return ReplyOpened(request, *node, {.file = *std::move(opened), .entry = entry}, file);
  if (opened.error().code == ErrorCode::kVersionGone) {
    if (inodes_.ShouldRefuseGoneVersion(**node)) return opened.error();
    return OpenAgain(request, *node, file, context);
  }
  if (opened.error().code != ErrorCode::kWouldBlock) {
    failures_.Note(FailedCall::kOpen, entry->source, opened.error());
  }
  return opened.error();
}

// The kernel has no other node to try. A handle that is open still serves its version; else it is what the name means
// now.
Result<void> Filesystem::OpenAgain(Request& request, const NodePtr& node, fuse_file_info file,
                                   const CallContext& context) {
  if (auto open = node->open_file()) return ReplyOpened(request, node, {std::move(open), node->shown()}, file);
  Result<Entry> entry = source_.Lookup(node->path(), context);
  if (!entry) return entry.error();
  Result<std::shared_ptr<OpenFile>> opened = source_.Open(*entry, context);
  if (!opened) return opened.error();
  return ReplyOpened(request, node, {*std::move(opened), std::make_shared<const Entry>(*std::move(entry))}, file);
}

Result<void> Filesystem::ReplyOpened(Request& request, const NodePtr& node, Opened opened, fuse_file_info file) {
  auto handle = std::make_unique<FileHandle>();
  handle->node = node;
  handle->file = std::move(opened.file);
  handle->source = opened.entry->source;
  if (!node->AddOpenFile(handle->file, *opened.entry)) {
    return Error{ErrorCode::kVersionGone, "another version of it is open"};
  }
  // Past the page cache, whose pages may still be those of the version before; and so may the attributes that the
  // kernel knows. Those alone: to invalidate pages from within a request could wait for ourselves.
  file.direct_io = node->shows_other() ? 1 : 0;
  if (file.direct_io) fuse_lowlevel_notify_inval_inode(session_, node->id(), -1, 0);
  handle->mode = file.direct_io ? HandleMode::kDirect
                                : passthrough_.Acquire(request, node->id(), node->passthrough(), *handle->file, &file);
  // Pages of one version are good for every handle of its node; those of a live file only as long as it does not
  // change. Never together with a backing file: the open would fail.
  file.keep_cache = handle->mode == HandleMode::kCached && node->keeps_pages() ? 1 : 0;
  if (handle->mode == HandleMode::kCached) readahead_.Choose(ReachOf(*opened.entry));
  if (handle->mode == HandleMode::kPassthrough) metrics_.Add(Metric::kOpensPassthrough);
  const HandleMode mode = handle->mode;
  file.fh = files_.Add(std::move(handle));
  if (request.ReplyOpen(file)) return {};
  // Nobody took it, so no release will come.
  passthrough_.Abandon(node->id(), mode);
  files_.Take(file.fh);
  return {};
}

// What failed a moment ago is not waited for again: the kernel asks more than once.
Result<void> Filesystem::Read(Request& request, const FileHandle& handle, size_t size, uint64_t offset,
                              const CallContext& context) {
  Result<ByteChain> got = handle.file->Borrow(offset, size, context);
  if (got) {
    request.ReplyData(*got);
    return {};
  }
  const ByteRange range{offset, size};
  if (got.error().code == ErrorCode::kWouldBlock) return handle.failed.Find(range, clock_.Now()).value_or(got.error());
  if (context.may_block) handle.failed.Note(range, got.error(), clock_.Now());
  metrics_.Add(Metric::kReadErrors);
  failures_.Note(FailedCall::kRead, fmt::format("{} at {}", handle.source, offset), got.error());
  return got.error();
}

void Filesystem::Release(Request& request, fuse_ino_t id, uint64_t handle) {
  const std::unique_ptr<FileHandle> released = files_.Take(handle);
  if (released != nullptr) passthrough_.Release(request, id, released->mode);
  request.ReplyError(0);
}

}  // namespace s3overlay
