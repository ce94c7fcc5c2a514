// SPDX-License-Identifier: Apache-2.0
#include "fuse/filesystem.h"

#include <cerrno>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "fuse/errno_map.h"
#include "fuse/handles.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

// Smaller objects stay with the daemon: a node that changes when its object becomes complete costs more than it gains.
constexpr uint64_t kSmallestPassthroughObject = 1 << 20;

// Reads ahead, and all reads while ASYNC_READ is on, that the kernel has under way at a time: 4 hung ones delayed all
// others by 11 s with a limit of 4.
constexpr unsigned kMaxBackground = 1024;

constexpr size_t kLongestName = 255;

constexpr std::string_view kAttributePrefix = "user.s3overlay.";

}  // namespace

Filesystem::Filesystem(const FilesystemOptions& options, FileSource& source, const Clock& clock, Metrics& metrics)
    : options_(options),
      source_(source),
      clock_(clock),
      metrics_(metrics),
      failures_(clock),
      inodes_(clock),
      passthrough_(options.passthrough),
      lanes_(options.lanes) {}

void Filesystem::Negotiate(fuse_conn_info* connection) {
  const auto want = [&](unsigned flag) { connection->want |= connection->capable & flag; };
  want(FUSE_CAP_ASYNC_READ);       // Readahead sends several reads side by side.
  want(FUSE_CAP_PARALLEL_DIROPS);  // A lookup that waits for its store holds up none in the same directory.
  // Always with attributes: its AUTO mode made `find` over 100,000 names seven times slower.
  want(FUSE_CAP_READDIRPLUS);
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS_AUTO);
#ifdef FUSE_CAP_NO_EXPORT_SUPPORT
  want(FUSE_CAP_NO_EXPORT_SUPPORT);  // Node ids do not outlive the mount: an NFS handle made of one would lie.
#endif
  // Pages of a live file follow its times and size; those of a version never change.
  want(FUSE_CAP_AUTO_INVAL_DATA);
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP
  want(FUSE_CAP_DIRECT_IO_ALLOW_MMAP);  // Else a shared mapping of such a handle is ENODEV.
#endif
  connection->max_read = kMaxRead;       // As the mount option says, or libfuse ends the session.
  connection->max_readahead = kMaxRead;  // The bound; how much it is, each open chooses (kernel_readahead).
  connection->max_background = kMaxBackground;
  connection->congestion_threshold = kMaxBackground;  // Below the limit the kernel would stop reading ahead already.
  passthrough_.Negotiate(connection);
}

Filesystem::~Filesystem() = default;

// Files that are open when the connection ends are never released by the kernel.
void Filesystem::Stop() {
  Cancel();
  lanes_.Stop();
  files_.Clear();
  directories_.Clear();
}

CallContext Filesystem::ContextOf(LaneKind kind, bool may_block) const {
  const bool names = kind == LaneKind::kNames;
  return {.deadline = Deadline::After(clock_, names ? options_.lookup_timeout : options_.read_timeout),
          .may_block = may_block,
          .max_retries = names ? options_.lookup_retries : options_.read_retries,
          .cancelled = &cancelled_};
}

void Filesystem::Dispatch(fuse_req_t handle, LaneKind kind, Operation operation) {
  std::shared_ptr<Request> request;
  try {
    request = std::make_shared<Request>(handle);
    Handle(request, kind, std::move(operation));
  } catch (const std::bad_alloc&) {
    if (request == nullptr) {
      fuse_reply_err(handle, ENOMEM);
    } else if (!request->replied()) {
      request->ReplyError(ENOMEM);
    }
  }
}

void Filesystem::Handle(const std::shared_ptr<Request>& request, LaneKind kind, Operation operation) {
  const Result<void> at_once = Attempt(operation, *request, ContextOf(kind, false));
  if (at_once || at_once.error().code != ErrorCode::kWouldBlock) {
    Finish(*request, at_once);
    return;
  }
  // The time in the queue counts too.
  const CallContext context = ContextOf(kind, true);
  const bool taken = lanes_.TrySubmit(at_once.error().lane, kind, [request, context, operation = std::move(operation)] {
    Finish(*request, Attempt(operation, *request, context));
  });
  if (!taken && !cancelled_) {
    failures_.Note(FailedCall::kAny, "refused",
                   {ErrorCode::kUnavailable, "too many wait for their store, or no thread can be had"});
  }
}

Result<void> Filesystem::Attempt(const Operation& operation, Request& request, const CallContext& context) {
  try {
    return operation(request, context);
  } catch (const std::bad_alloc&) {
    return SystemError(ENOMEM, "a request");
  } catch (const std::exception& exception) {
    log::Error("a request failed by a bug: {}", exception.what());
    return SystemError(EIO, "a request");
  }
}

void Filesystem::Finish(Request& request, const Result<void>& result) {
  if (!result && !request.replied()) request.ReplyError(ErrnoOf(result.error()));
}

Result<NodePtr> Filesystem::NodeOf(fuse_ino_t id) const {
  NodePtr node = inodes_.Find(id);
  if (node == nullptr) return Error{ErrorCode::kVersionGone, "the kernel asks for a node that it has forgotten"};
  return node;
}

// An object whose bytes are all here is another node than the one that was read through the daemon.
bool Filesystem::WantsPassthrough(const Entry& entry) const {
  if (entry.attributes.type != FileType::kRegular || !passthrough_.on()) return false;
  if (!entry.immutable) return true;
  return entry.attributes.size > kSmallestPassthroughObject && source_.GetCacheShare(entry).complete;
}

ReadaheadReach Filesystem::ReachOf(const Entry& entry) const {
  const bool is_here =
      !entry.immutable || entry.attributes.size <= kSmallestPassthroughObject || source_.GetCacheShare(entry).complete;
  return is_here ? ReadaheadReach::kLong : ReadaheadReach::kShort;
}

// Gives the answer to a lookup its node; the kernel will count a lookup of it.
fuse_entry_param Filesystem::Introduce(std::string path, Entry entry) {
  fuse_entry_param param{};
  param.attr_timeout = param.entry_timeout = KernelTimeout(entry);
  const FileAttributes attributes = entry.attributes;
  const bool passthrough = WantsPassthrough(entry);
  const NodePtr node = inodes_.Remember(std::move(path), std::move(entry), passthrough);
  param.ino = node->id();
  param.attr = ToStat(node->inode_number(), attributes, options_.ownership);
  return param;
}

namespace {

// No node: the kernel answers ENOENT by itself as long as it holds.
Result<void> ReplyAbsence(Request& request, Duration ttl) {
  fuse_entry_param absence{};
  absence.entry_timeout = std::chrono::duration<double>(ttl).count();
  request.ReplyEntry(absence);
  return {};
}

}  // namespace

Result<void> Filesystem::Lookup(Request& request, fuse_ino_t parent, const std::string& name,
                                const CallContext& context) {
  Result<NodePtr> directory = NodeOf(parent);
  if (!directory) return directory.error();
  if (name.size() > kLongestName) return SystemError(ENAMETOOLONG, name);  // The kernel itself allows 1024.
  std::string path = JoinPath((*directory)->path(), name);
  Result<Entry> entry = source_.Lookup(path, context);
  if (!entry && entry.error().code == ErrorCode::kNotFound) return ReplyAbsence(request, source_.AbsenceTtl(path));
  if (!entry) return entry.error();
  const fuse_entry_param answer = Introduce(std::move(path), *std::move(entry));
  if (!request.ReplyEntry(answer)) inodes_.Forget(answer.ino, 1);
  return {};
}

// A file's node is one version: its attributes are known. Only a live file's are asked for, of the open file where
// there is one, for its name may have come to mean another.
Result<void> Filesystem::GetAttributes(Request& request, fuse_ino_t id, const CallContext& context) {
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  const auto reply = [&](const Entry& entry) {
    request.ReplyAttributes(ToStat((*node)->inode_number(), entry.attributes, options_.ownership),
                            KernelTimeout(entry));
    return Result<void>();
  };
  const std::shared_ptr<const Entry> known = (*node)->shown();
  if (known->immutable) return reply(*known);
  if (const auto file = (*node)->open_file()) {
    Result<Entry> live = file->GetEntry();
    if (live) return reply(*live);
  }
  Result<Entry> entry = source_.Lookup((*node)->path(), context);
  if (!entry) return entry.error();
  const bool same = (*node)->is_directory() ? entry->attributes.type == FileType::kDirectory
                                            : entry->version == known->version && entry->source == known->source;
  if (!same) return Error{ErrorCode::kVersionGone, "the name has come to mean another file"};
  return reply(*entry);
}

Result<void> Filesystem::ReadLink(Request& request, fuse_ino_t id, const CallContext& context) {
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  Result<std::string> target = source_.ReadLink((*node)->path(), context);
  if (!target) return target.error();
  request.ReplyText(*target);
  return {};
}

Result<void> Filesystem::GetSpace(Request& request) {
  constexpr uint64_t kBlock = 4096;
  // Whoever ends us asks too, and a source may hang.
  const FileSystemSpace space = cancelled_ ? FileSystemSpace{} : source_.GetSpace().value_or(FileSystemSpace{});
  struct statvfs result{};
  result.f_bsize = result.f_frsize = kBlock;
  result.f_blocks = space.total_bytes / kBlock;
  result.f_bfree = result.f_bavail = space.free_bytes / kBlock;
  result.f_files = inodes_.size();
  result.f_namemax = kLongestName;
  request.ReplySpace(result);
  return {};
}

namespace {

// The value of one of our own attributes; nothing where there is no such one.
std::optional<std::string> OwnAttribute(std::string_view name, const Entry& entry, const CacheShare& share) {
  if (name == "source") return entry.source;
  if (name == "state") return std::string(FileStateName(entry.state));
  if (name == "reason") return entry.reason;
  if (name == "etag" && !entry.etag.empty()) return entry.etag;
  if (name == "cached" && entry.attributes.type == FileType::kRegular) return std::to_string(share.bytes);
  return std::nullopt;
}

}  // namespace

Result<void> Filesystem::GetXattr(Request& request, fuse_ino_t id, const std::string& name, size_t room) {
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  const std::shared_ptr<const Entry> entry = (*node)->shown();
  if (name.starts_with(kAttributePrefix)) {
    const auto value =
        OwnAttribute(std::string_view(name).substr(kAttributePrefix.size()), *entry, source_.GetCacheShare(*entry));
    if (!value) return SystemError(ENODATA, name);
    request.ReplyXattr(*value, room);
    return {};
  }
  if (entry->immutable) {  // Most that is asked: `ls -l` asks twice a file.
    request.ReplyError(ENODATA);
    return {};
  }
  Result<std::string> value = source_.GetXattr(*entry, name);
  if (!value && value.error().code == ErrorCode::kNotFound) return SystemError(ENODATA, name);
  if (!value) return value.error();
  request.ReplyXattr(*value, room);
  return {};
}

// Only the file's own names, so that a copy with attributes does not take ours along.
Result<void> Filesystem::ListXattr(Request& request, fuse_ino_t id, size_t room) {
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  Result<std::vector<std::string>> names = source_.ListXattr(*(*node)->entry());
  if (!names) return names.error();
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  request.ReplyXattr(list, room);
  return {};
}

}  // namespace s3overlay
