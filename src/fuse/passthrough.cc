// SPDX-License-Identifier: Apache-2.0
#include "fuse/passthrough.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)

std::string TurnOn(fuse_conn_info* connection, int stack_depth) {
  if ((connection->capable & FUSE_CAP_PASSTHROUGH) == 0) return "the kernel has none: Linux 6.9 is needed";
  connection->want |= FUSE_CAP_PASSTHROUGH;
  connection->max_backing_stack_depth = static_cast<uint32_t>(stack_depth);
  return "";
}
int OpenBacking(const Request& request, int fd) {
  errno = 0;
  const int id = fuse_passthrough_open(request.handle(), fd);
  return id > 0 ? id : -errno;
}
void CloseBacking(const Request& request, int id) { fuse_passthrough_close(request.handle(), id); }
void SetBacking(fuse_file_info* file, int id) { file->backing_id = id; }

#else

std::string TurnOn(fuse_conn_info*, int) { return "built with a libfuse older than 3.17"; }
int OpenBacking(const Request&, int) { return 0; }
void CloseBacking(const Request&, int) {}
void SetBacking(fuse_file_info*, int) {}

#endif

class KernelRegistry final : public BackingRegistry {
 public:
  int Open(const Request& request, int fd) override { return OpenBacking(request, fd); }
  void Close(const Request& request, int id) override { CloseBacking(request, id); }
};

// Whether the next file of the same file system would be refused for the same reason: it lies on as many others as the
// mount allows, or has no files of the kind that the kernel reads this way. All else (no memory, no number left, a bad
// descriptor, a security policy) is of that one open.
bool IsOfFileSystem(int sys_errno) { return sys_errno == ELOOP || sys_errno == EOPNOTSUPP; }

}  // namespace

BackingRegistry& BackingRegistry::OfKernel() {
  static KernelRegistry registry;
  return registry;
}

void Passthrough::Negotiate(fuse_conn_info* connection) {
  const std::string reason = options_.wanted ? TurnOn(connection, options_.stack_depth) : "turned off by option";
  MutexLock lock(mu_);
  on_ = reason.empty();
  reason_ = reason;
  if (!on_) log::Info("passthrough is off: {}", reason_);
}

std::string Passthrough::reason() const {
  MutexLock lock(mu_);
  return reason_;
}

HandleMode Passthrough::Acquire(const Request& request, fuse_ino_t id, bool wanted, OpenFile& open_file,
                                fuse_file_info* file) {
  // The source may wait for its disk: not under the lock, which every open and every release takes.
  std::shared_ptr<BackingFile> backing = wanted && MayRegister(id) ? open_file.GetBackingFile() : nullptr;
  MutexLock lock(mu_);
  for (const fuse_ino_t left : std::exchange(abandoned_, {})) {
    if (const auto found = uses_.find(left); found != uses_.end()) GiveBack(request, found);
  }
  Use& use = uses_[id];
  const bool registered = use.backing_id > 0;
  if (registered || (on_ && use.cached == 0 && Register(request, std::move(backing), &use))) {
    ++use.passed_through;
    SetBacking(file, use.backing_id);
    return HandleMode::kPassthrough;
  }
  ++use.cached;
  return HandleMode::kCached;
}

bool Passthrough::MayRegister(fuse_ino_t id) const {
  MutexLock lock(mu_);
  if (!on_ || registered_ >= options_.max_backing_files) return false;
  const auto found = uses_.find(id);
  return found == uses_.end() || (found->second.backing_id == 0 && found->second.cached == 0);
}

bool Passthrough::Register(const Request& request, std::shared_ptr<BackingFile> backing, Use* use) {
  struct stat status{};
  if (backing == nullptr || ::fstat(backing->fd(), &status) != 0) return false;
  if (registered_ >= options_.max_backing_files || refused_devices_.contains(status.st_dev)) return false;
  const int id = registry_.Open(request, backing->fd());
  if (id <= 0) {
    NoteRefusal(-id, status.st_dev);
    return false;
  }
  ++registered_;
  use->backing_id = id;
  use->backing = std::move(backing);
  return true;
}

// What would meet the next open as well is said once and not tried again. The open goes through the daemon.
void Passthrough::NoteRefusal(int sys_errno, dev_t device) {
  if (sys_errno == EPERM) {
    on_ = false;
    reason_ = "the process may not: CAP_SYS_ADMIN is needed";
    log::Info("passthrough is off: {}", reason_);
    return;
  }
  if (!IsOfFileSystem(sys_errno)) {
    log::Debug("the kernel did not take a backing file: {}", std::strerror(sys_errno));
    return;
  }
  refused_devices_.insert(device);
  reason_ = fmt::format("the kernel takes no files of device {}:{}: {}", major(device), minor(device),
                        std::strerror(sys_errno));
  log::Info("passthrough is not for every file: {}", reason_);
}

void Passthrough::Release(const Request& request, fuse_ino_t id, HandleMode mode) {
  MutexLock lock(mu_);
  const auto found = uses_.find(id);
  if (found == uses_.end() || mode == HandleMode::kDirect) return;
  Use& use = found->second;
  if (mode == HandleMode::kCached) {
    --use.cached;
  } else {
    --use.passed_through;
  }
  GiveBack(request, found);
}

// What no handle needs any more.
void Passthrough::GiveBack(const Request& request, Uses::iterator found) {
  Use& use = found->second;
  if (use.passed_through == 0 && use.backing_id > 0) {
    registry_.Close(request, use.backing_id);
    --registered_;
    use.backing_id = 0;
    use.backing.reset();
  }
  if (use.cached == 0 && use.passed_through == 0) uses_.erase(found);
}

void Passthrough::Abandon(fuse_ino_t id, HandleMode mode) {
  MutexLock lock(mu_);
  const auto found = uses_.find(id);
  if (found == uses_.end() || mode == HandleMode::kDirect) return;
  --(mode == HandleMode::kCached ? found->second.cached : found->second.passed_through);
  abandoned_.push_back(id);
}

}  // namespace s3overlay
