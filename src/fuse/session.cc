// SPDX-License-Identifier: Apache-2.0
#include "fuse/session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "fuse/filesystem.h"
#include "fuse/node_pruner.h"
#include "s3overlay/log.h"
#include "s3overlay/mutex.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

constexpr unsigned kLoopThreads = 10;
constexpr int kReadaheadKiB = 1024;

void LogOfLibfuse(fuse_log_level level, const char* format, va_list arguments) {
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
  std::vector<std::string> all = {"ro", "default_permissions", "subtype=s3overlay",
                                  "fsname=" + EscapeCommas(options.source_name), fmt::format("max_read={}", kMaxRead)};
  if (::geteuid() == 0) all.insert(all.end(), {"nosuid", "nodev"});
  if (options.allow_other) all.push_back("allow_other");
  all.insert(all.end(), options.mount_options.begin(), options.mount_options.end());
  return fmt::format("{}", fmt::join(all, ","));
}

FilesystemOptions ToFilesystemOptions(const FuseOptions& options) {
  return {.ownership = {.uid = options.uid,
                        .gid = options.gid,
                        .file_mode = options.file_mode,
                        .directory_mode = options.dir_mode},
          .passthrough = options.passthrough,
          .xattr = options.xattr,
          .lanes = {.lanes = options.lane_count, .threads = options.lane_threads},
          .read_timeout = options.op_timeout,
          .lookup_timeout = options.lookup_timeout,
          .lookup_retries = options.metadata_retries,
          .read_retries = options.read_retries};
}

// "0:52" of the mount at `mountpoint`, from the kernel's list: asking the mount itself would wait for ourselves.
std::string DeviceOf(const std::string& mountpoint) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  std::string device;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string id, parent, numbers, root, point;
    fields >> id >> parent >> numbers >> root >> point;
    if (point == mountpoint) device = numbers;  // The last one is on top.
  }
  return device;
}

// More readahead than the kernel's 128 KiB goes only this way, and only as root; without it reads are slower.
void SetReadahead(const std::string& mountpoint) {
  std::ofstream("/sys/class/bdi/" + DeviceOf(mountpoint) + "/read_ahead_kb") << kReadaheadKiB;
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
  Filesystem& filesystem() { return filesystem_; }
  NodePruner& pruner() { return *pruner_; }

 private:
  static void WakeLoop(const UniqueFd& root);

  const FuseOptions options_;
  Filesystem filesystem_;
  fuse_session* session_ = nullptr;
  std::unique_ptr<NodePruner> pruner_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> mounted_ = false;
};

Result<void> FuseSession::Impl::Mount() {
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
  if (fuse_session_mount(session_, options_.mountpoint.c_str()) != 0) {
    return Error{
        ErrorCode::kSystem,
        fmt::format("cannot mount at {}: {}; is /dev/fuse there, and are you root or is fusermount3 installed?",
                    options_.mountpoint, errno != 0 ? std::strerror(errno) : "fusermount3 failed"),
        errno != 0 ? errno : EPERM};
  }
  mounted_ = true;
  SetReadahead(options_.mountpoint);
  pruner_ = std::make_unique<NodePruner>(session_, filesystem_.inodes(), options_.max_nodes);
  return {};
}

Result<void> FuseSession::Impl::Run() {
  fuse_loop_config* const config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, kLoopThreads);
  fuse_loop_cfg_set_idle_threads(config, kLoopThreads);
  const int result = stopping_ ? 0 : fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  stopping_ = true;
  filesystem_.Stop();
  if (result < 0) return SystemError(-result, "serve the mount");
  return {};
}

void FuseSession::Impl::Stop() {
  if (session_ == nullptr) return;
  filesystem_.Cancel();
  stopping_ = true;
  fuse_session_exit(session_);
  // Reaches the mount when its path no longer does. Opened no earlier: it would keep everybody else from unmounting.
  const UniqueFd root(::open(options_.mountpoint.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  // Open files keep the mount alive, and nobody new finds it.
  if (mounted_.exchange(false)) ::umount2(options_.mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  WakeLoop(root);
}

// Every thread of the loop waits for a request; one request makes one of them look up and end the loop.
void FuseSession::Impl::WakeLoop(const UniqueFd& root) {
  struct statfs space{};
  if (root.is_open()) ::fstatfs(root.get(), &space);
}

FuseSession::Impl::~Impl() {
  if (session_ == nullptr) return;
  pruner_.reset();
  filesystem_.Stop();
  if (mounted_) fuse_session_unmount(session_);
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
void FuseSession::InvalidateNotFresh() { impl_->pruner().InvalidateNotFresh(); }
bool FuseSession::passthrough_on() const { return impl_->filesystem().passthrough().on(); }
std::string FuseSession::passthrough_reason() const { return impl_->filesystem().passthrough().reason(); }

StatusObject FuseSession::GetStatus() const {
  const Passthrough& passthrough = impl_->filesystem().passthrough();
  StatusObject state;
  state.emplace_back("on", StatusValue{passthrough.on()});
  state.emplace_back("reason", StatusValue{passthrough.reason()});
  StatusObject status;
  status.emplace_back("libfuse", StatusValue{std::string(fuse_pkgversion())});
  status.emplace_back("passthrough", StatusValue{std::move(state)});
  status.emplace_back("nodes", StatusValue{uint64_t{impl_->filesystem().inodes().size()}});
  status.emplace_back("open_handles", StatusValue{impl_->filesystem().open_handles()});
  return status;
}

}  // namespace s3overlay
