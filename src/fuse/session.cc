// SPDX-License-Identifier: Apache-2.0
#include "fuse/session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "fuse/filesystem.h"
#include "fuse/node_pruner.h"
#include "fuse/request.h"
#include "s3overlay/log.h"
#include "s3overlay/mutex.h"

namespace s3overlay {
namespace {

// They answer from memory or hand on, and never wait for the network: more would only take turns. Fewer would let a few
// local disks that are slow hold up the rest.
constexpr unsigned kLoopThreads = 10;

void LogOfLibfuse(fuse_log_level level, const char* format, va_list arguments) {
  const int errno_of_caller = errno;
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string line(text.data());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (level <= FUSE_LOG_ERR) {
    log::Error("libfuse: {}", line);
  } else if (level <= FUSE_LOG_WARNING) {
    log::Warning("libfuse: {}", line);
  } else {
    log::Debug("libfuse: {}", line);
  }
  errno = errno_of_caller;
}

// A comma would start another option.
std::string EscapeCommas(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == ',' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::string MountOptions(const FuseOptions& options) {
  std::vector<std::string> all = options.mount_options;
  // Ours come last, which makes them count. ro: the kernel itself refuses what would change anything.
  // default_permissions: it checks modes too, and asks nobody for them. max_read: as Negotiate says it, or libfuse ends
  // the session.
  all.insert(all.end(), {"ro", "default_permissions", "subtype=s3overlay",
                         "fsname=" + EscapeCommas(options.source_name), fmt::format("max_read={}", kMaxRead)});
  // As fusermount3 does it for users: no bucket makes a program run as root, and no device of a layer is one here.
  if (::geteuid() == 0) all.insert(all.end(), {"nosuid", "nodev"});
  if (options.allow_other) all.push_back("allow_other");
  return fmt::format("{}", fmt::join(all, ","));
}

FilesystemOptions ToFilesystemOptions(const FuseOptions& options) {
  return {.ownership = {.uid = options.uid,
                        .gid = options.gid,
                        .file_mode = options.file_mode,
                        .directory_mode = options.dir_mode},
          .passthrough = {.wanted = options.passthrough,
                          .stack_depth = options.backing_stack_depth,
                          .max_backing_files = options.max_backing_files},
          .xattr = options.xattr,
          .max_nodes = options.max_nodes,
          .lanes = {.lanes = options.lane_count, .threads = options.lane_threads},
          .read_timeout = options.op_timeout,
          .lookup_timeout = options.lookup_timeout,
          .lookup_retries = options.metadata_retries,
          .read_retries = options.read_retries};
}

// Device numbers of what lies at the mountpoint now. From the kernel's memory: asking the mount itself would wait for
// ourselves.
using Device = std::pair<unsigned, unsigned>;
Device DeviceAt(const std::string& mountpoint) {
  struct statx status{};
  if (::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0) return {};
  return {status.stx_dev_major, status.stx_dev_minor};
}

Result<void> CheckMountpoint(const std::string& mountpoint) {
  struct stat status{};
  const std::string what = "mount at " + mountpoint;
  if (::stat(mountpoint.c_str(), &status) != 0) return SystemError(errno, what);
  if (!S_ISDIR(status.st_mode)) return SystemError(ENOTDIR, what);
  return {};
}

// What libfuse leaves in errno is of its own first try; the helper that it then runs for users tells them by itself.
Error MountFailure(const std::string& mountpoint, int sys_errno) {
  if (::access("/dev/fuse", R_OK | W_OK) != 0) {
    return Error{ErrorCode::kSystem,
                 fmt::format("cannot mount at {}: open /dev/fuse: {}", mountpoint, std::strerror(errno)), errno};
  }
  if (::geteuid() != 0) {
    return Error{ErrorCode::kSystem,
                 fmt::format("cannot mount at {}: fusermount3 (package fuse3) would not, for the reason that it gave",
                             mountpoint),
                 EIO};
  }
  return SystemError(sys_errno != 0 ? sys_errno : EIO, fmt::format("cannot mount at {}", mountpoint));
}

}  // namespace

class FuseSession::Impl {
 public:
  Impl(FuseOptions options, FileSource& source, const Clock& clock, Metrics& metrics)
      : options_(std::move(options)), filesystem_(ToFilesystemOptions(options_), source, clock, metrics) {}
  ~Impl();

  Result<void> Mount();
  Result<void> Run();
  void Stop();
  bool IsStillMounted() S3OVERLAY_EXCLUDES(mu_);
  const FuseOptions& options() const { return options_; }
  Filesystem& filesystem() { return filesystem_; }
  NodePruner& pruner() { return *pruner_; }

 private:
  bool IsConnected() S3OVERLAY_EXCLUDES(mu_);
  bool PollConnection() const S3OVERLAY_REQUIRES(mu_);
  void WakeLoop() S3OVERLAY_EXCLUDES(mu_);
  void Close() S3OVERLAY_EXCLUDES(mu_);

  // Constant after Mount.
  const FuseOptions options_;
  fuse_session* session_ = nullptr;
  Device device_;

  Filesystem filesystem_;
  std::unique_ptr<NodePruner> pruner_;

  Mutex mu_;
  bool running_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool closed_ S3OVERLAY_GUARDED_BY(mu_) = true;  // The session has no descriptor.
};

Result<void> FuseSession::Impl::Mount() {
  S3OVERLAY_RETURN_IF_ERROR(CheckMountpoint(options_.mountpoint));
  fuse_set_log_func(&LogOfLibfuse);
  const fuse_lowlevel_ops operations = Filesystem::Operations();
  const std::string mount_options = MountOptions(options_);
  const char* const arguments[] = {"s3overlay", "-o", mount_options.c_str()};
  fuse_args args = FUSE_ARGS_INIT(3, const_cast<char**>(arguments));
  session_ = fuse_session_new(&args, &operations, sizeof(operations), &filesystem_);
  fuse_opt_free_args(&args);
  if (session_ == nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("libfuse does not know one of the mount options: {}", mount_options)};
  }
  errno = 0;
  if (fuse_session_mount(session_, options_.mountpoint.c_str()) != 0) return MountFailure(options_.mountpoint, errno);
  filesystem_.Attach(session_);
  device_ = DeviceAt(options_.mountpoint);
  filesystem_.readahead().Attach(fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", device_.first, device_.second));
  pruner_ =
      std::make_unique<NodePruner>(session_, filesystem_.inodes(),
                                   NodePrunerOptions{.max_nodes = options_.max_nodes,
                                                     .device = fmt::format("{}:{}", device_.first, device_.second),
                                                     .by_names_only = options_.prune_by_names});
  MutexLock lock(mu_);
  closed_ = false;
  return {};
}

Result<void> FuseSession::Impl::Run() {
  {
    MutexLock lock(mu_);
    if (closed_) return {};
    running_ = true;
  }
  fuse_loop_config* const config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);  // A descriptor a thread, and with it a list of its own of what it has taken.
  fuse_loop_cfg_set_max_threads(config, kLoopThreads);
  fuse_loop_cfg_set_idle_threads(config, kLoopThreads);  // None is ended to be started again at the next burst.
  // Where Stop came first, the session has ended already and this returns at once.
  const int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  Close();
  if (result < 0) return SystemError(-result, "serve the mount");
  return {};
}

void FuseSession::Impl::Stop() {
  filesystem_.Cancel();
  // While the loop still answers: the pruner may wait in the kernel for a lock that a lookup holds.
  if (pruner_ != nullptr) pruner_->Stop();
  {
    MutexLock lock(mu_);
    if (closed_) return;
    fuse_session_exit(session_);
    if (!running_) return;
  }
  WakeLoop();
}

// Whether the kernel still has our mount, attached somewhere or not. As long as it has, the device number is ours: the
// kernel gives the number of a mount that is gone to the next one at once. (fuse_dev_poll: POLLERR without connection.)
bool FuseSession::Impl::PollConnection() const {
  pollfd connection{.fd = fuse_session_fd(session_), .events = 0, .revents = 0};
  return ::poll(&connection, 1, 0) == 0;
}

bool FuseSession::Impl::IsConnected() {
  MutexLock lock(mu_);
  return !closed_ && PollConnection();
}

// Where it lies was asked before whether it lives: what is connected afterwards was ours when it was looked at.
bool FuseSession::Impl::IsStillMounted() { return DeviceAt(options_.mountpoint) == device_ && IsConnected(); }

// The threads of the loop sleep in the kernel. A request wakes one of them, and one ends them all; a request that comes
// too late ends with the connection, in Close. Where our mount has been detached only the kernel's own switch is left.
void FuseSession::Impl::WakeLoop() {
  struct statfs space{};
  if (DeviceAt(options_.mountpoint) == device_) {
    static_cast<void>(::statfs(options_.mountpoint.c_str(), &space));
    return;
  }
  // Opened before asking: what is connected afterwards was ours when it was opened.
  std::ofstream abort(fmt::format("/sys/fs/fuse/connections/{}/abort", device_.second));
  if (IsConnected()) abort << 1;
}

// With the descriptor the connection ends: whoever still waits for an answer, or holds a file open, gets ENOTCONN.
void FuseSession::Impl::Close() {
  filesystem_.Stop();
  pruner_->Stop();
  bool connected = false;
  {
    MutexLock lock(mu_);
    if (std::exchange(closed_, true)) return;
    connected = PollConnection();
  }
  // Somebody may have detached our mount and put another one in its place.
  if (connected && DeviceAt(options_.mountpoint) != device_) return;
  // libfuse may start umount(8), and a child would inherit the descriptor. Only root can do without, with MNT_FORCE to
  // end the connection at once; libfuse then sees that nothing is left to do.
  if (connected) static_cast<void>(::umount2(options_.mountpoint.c_str(), MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW));
  fuse_session_unmount(session_);
}

FuseSession::Impl::~Impl() {
  if (session_ == nullptr) return;
  if (pruner_ != nullptr) Close();
  pruner_.reset();
  fuse_session_destroy(session_);
}

Result<std::unique_ptr<FuseSession>> FuseSession::Mount(FuseOptions options, FileSource& source, const Clock& clock,
                                                        Metrics& metrics) {
  auto impl = std::make_unique<Impl>(std::move(options), source, clock, metrics);
  S3OVERLAY_RETURN_IF_ERROR(impl->Mount());
  return std::unique_ptr<FuseSession>(new FuseSession(std::move(impl)));
}

FuseSession::FuseSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FuseSession::~FuseSession() = default;

Result<void> FuseSession::Run() { return impl_->Run(); }
void FuseSession::Stop() { impl_->Stop(); }
bool FuseSession::IsStillMounted() const { return impl_->IsStillMounted(); }
void FuseSession::InvalidateNotFresh() { impl_->pruner().InvalidateNotFresh(); }
bool FuseSession::passthrough_on() const { return impl_->filesystem().passthrough().on(); }
std::string FuseSession::passthrough_reason() const { return impl_->filesystem().passthrough().reason(); }

std::vector<QueueLength> FuseSession::GetQueues() const { return impl_->filesystem().GetQueues(); }

StatusObject FuseSession::GetStatus() const {
  const Passthrough& passthrough = impl_->filesystem().passthrough();
  StatusObject state;
  state.emplace_back("on", StatusValue{passthrough.on()});
  state.emplace_back("reason", StatusValue{passthrough.reason()});
  state.emplace_back("stack_depth", StatusValue{int64_t{impl_->options().backing_stack_depth}});
  state.emplace_back("stack_reason", StatusValue{impl_->options().backing_stack_reason});
  StatusObject status;
  status.emplace_back("libfuse", StatusValue{std::string(fuse_pkgversion())});
  status.emplace_back("passthrough", StatusValue{std::move(state)});
  status.emplace_back("nodes", StatusValue{uint64_t{impl_->filesystem().inodes().size()}});
  status.emplace_back("open_handles", StatusValue{impl_->filesystem().open_handles()});
  return status;
}

}  // namespace s3overlay
