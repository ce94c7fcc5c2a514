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
int OpenBacking(const Request& request, int fd) { return fuse_passthrough_open(request.handle(), fd); }
void CloseBacking(const Request& request, int id) { fuse_passthrough_close(request.handle(), id); }
void SetBacking(fuse_file_info* file, int id) { file->backing_id = id; }

#else

std::string TurnOn(fuse_conn_info*, int) { return "built with a libfuse older than 3.17"; }
int OpenBacking(const Request&, int) { return 0; }
void CloseBacking(const Request&, int) {}
void SetBacking(fuse_file_info*, int) {}

#endif

}  // namespace

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
  const auto found = uses_.find(id);
  return on_ && (found == uses_.end() || (found->second.backing_id == 0 && found->second.cached == 0));
}

bool Passthrough::Register(const Request& request, std::shared_ptr<BackingFile> backing, Use* use) {
  struct stat status{};
  if (backing == nullptr || ::fstat(backing->fd(), &status) != 0) return false;
  if (refused_devices_.contains(status.st_dev)) return false;
  errno = 0;
  const int id = OpenBacking(request, backing->fd());
  if (id <= 0) {
    NoteRefusal(errno, status.st_dev);
    return false;
  }
  use->backing_id = id;
  use->backing = std::move(backing);
  return true;
}

// Said and tried once: the next open would fail the same way, and goes through the daemon.
void Passthrough::NoteRefusal(int sys_errno, dev_t device) {
  if (sys_errno == EPERM) {
    on_ = false;
    reason_ = "the process may not: CAP_SYS_ADMIN is needed";
    log::Info("passthrough is off: {}", reason_);
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
  if (use.passed_through == 0 && use.backing_id > 0) {
    CloseBacking(request, use.backing_id);
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
}

}  // namespace s3overlay
