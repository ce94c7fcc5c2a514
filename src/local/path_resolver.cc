// SPDX-License-Identifier: Apache-2.0
#include "local/path_resolver.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>
#include <utility>
#include <vector>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr int kMaxLinks = 40;          // As the kernel's own limit (path_resolution(7)).
constexpr int kMaxAttempts = 100;      // EAGAIN means that a rename went on meanwhile (openat2(2)).
constexpr size_t kMaxWarnings = 1000;  // Links remembered as already told.

template <typename Container>
void AppendComponents(std::string_view path, Container& components) {
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) components.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
}

bool IsAtOrBelow(std::string_view path, std::string_view parent) {
  if (parent == "/") return path.starts_with('/');
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

// The contract promises it; what it promises decides about escapes, so it is checked.
bool IsPlain(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  std::vector<std::string> components;
  AppendComponents(path, components);
  size_t length = components.empty() ? 0 : components.size() - 1;
  for (const std::string& component : components) {
    if (component == "." || component == "..") return false;
    length += component.size();
  }
  return length == path.size();
}

bool IsSymlink(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

bool IsDirectory(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

bool IsLoop(const Error& error) { return error.code == ErrorCode::kSystem && error.sys_errno == ELOOP; }

Error NotADirectory(std::string_view what, std::string_view why) {
  return Error{.code = ErrorCode::kNotADirectory, .message = fmt::format("{}: {}", what, why)};
}

// No link is followed on the way, and the last component is opened as the link that it may be.
Result<UniqueFd> OpenPath(int directory, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const char* const name = path.empty() ? "." : path.c_str();
  long fd = -1;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    fd = ::syscall(SYS_openat2, directory, name, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  if (fd >= 0) return UniqueFd(static_cast<int>(fd));
  return SystemError(errno == ENAMETOOLONG ? ENOENT : errno, fmt::format("open {}", path));
}

}  // namespace

std::string ProcPathOf(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

std::string PathOfDescriptor(int fd) {
  char buffer[PATH_MAX];
  const ssize_t size = ::readlink(ProcPathOf(fd).c_str(), buffer, sizeof buffer);
  return size > 0 && buffer[0] == '/' ? std::string(buffer, static_cast<size_t>(size)) : std::string();
}

Result<std::string> ReadLinkOf(int fd) {
  char buffer[PATH_MAX];
  const ssize_t size = ::readlinkat(fd, "", buffer, sizeof buffer);
  if (size < 0) return SystemError(errno, "readlink");
  return std::string(buffer, static_cast<size_t>(size));
}

// One walk over a path with links in it. `done_` is free of links at every step, so that ".." means what it says.
class LinkWalk {
 public:
  LinkWalk(const PathResolver& resolver, std::string_view path, LastLink last, bool quiet)
      : resolver_(resolver), path_(path), last_(last), quiet_(quiet) {
    AppendComponents(path, todo_);
    own_left_ = todo_.size();
  }

  Result<UniqueFd> Run() {
    while (!todo_.empty()) S3OVERLAY_RETURN_IF_ERROR(Step());
    if (outside_ && !resolver_.options_.follow_links_out) return Hidden();
    if (!fd_.is_open()) {
      S3OVERLAY_RETURN_IF_ERROR(OpenHere());
    }
    return std::move(fd_);
  }

 private:
  Result<void> Step() {
    // Components out of a link's target; the rest are of the path that was asked for.
    const bool of_link = todo_.size() > own_left_;
    if (!of_link) --own_left_;
    const std::string name = std::move(todo_.front());
    todo_.pop_front();
    if (name == ".") return {};
    fd_.Reset();
    if (name == "..") {
      GoUp();
      return {};
    }
    done_.push_back(name);
    if (auto entered = Enter(); !entered) return of_link ? LinkError(entered.error()) : entered;
    return {};
  }

  void GoUp() {
    if (done_.empty() && !outside_) {
      outside_ = true;
      AppendComponents(resolver_.root_path_, done_);
    }
    if (!done_.empty()) done_.pop_back();
  }

  Result<void> Enter() {
    if (outside_ && IsOnTheWayBack()) return {};
    if (outside_ && !resolver_.options_.follow_links_out) return Hidden();
    S3OVERLAY_RETURN_IF_ERROR(OpenHere());
    const bool follow = !todo_.empty() || last_ == LastLink::kEnter;
    return follow && IsSymlink(fd_.get()) ? FollowLink() : Result<void>();
  }

  // An absolute link into the root passes the root's own path, which may be covered by a mount: nothing is opened
  // there, and from the root on the walk is inside again.
  bool IsOnTheWayBack() {
    const std::string here = Absolute();
    if (here == resolver_.root_path_) {
      outside_ = false;
      done_.clear();
      return true;
    }
    return IsAtOrBelow(resolver_.root_path_, here) && !todo_.empty();
  }

  Result<void> OpenHere() {
    const std::string here = Absolute();
    if (resolver_.IsOwnMount(here, outside_)) return NotADirectory(here, "leads into this mount itself");
    auto fd = OpenPath(outside_ ? resolver_.filesystem_root_.get() : resolver_.root_.get(), Joined());
    if (!fd) return fd.error();
    fd_ = std::move(*fd);
    return {};
  }

  Result<void> FollowLink() {
    if (++links_ > kMaxLinks) return NotADirectory(path_, "too many links");
    auto target = ReadLinkOf(fd_.get());
    if (!target) return target.error();
    fd_.Reset();
    done_.pop_back();
    if (target->starts_with('/')) {
      outside_ = true;
      done_.clear();
    }
    std::vector<std::string> components;
    AppendComponents(*target, components);
    todo_.insert(todo_.begin(), components.begin(), components.end());
    return {};
  }

  // A link that leads nowhere is no directory: it hides what later layers have below its name, as any link does.
  static Error LinkError(const Error& error) {
    return error.code == ErrorCode::kNotFound || IsLoop(error) ? NotADirectory(error.message, "a link leads nowhere")
                                                               : error;
  }

  Error Hidden() const {
    const std::string link = PathWalked();
    if (!quiet_) resolver_.WarnOfHidden(link);
    return NotADirectory(link, "the link leads out of the layer");
  }

  // As much of the path that was asked for as the walk has come to: up to the link that it is in.
  std::string PathWalked() const {
    std::vector<std::string> components;
    AppendComponents(path_, components);
    components.resize(components.size() - own_left_);
    return fmt::format("{}", fmt::join(components, "/"));
  }

  std::string Joined() const { return fmt::format("{}", fmt::join(done_, "/")); }
  std::string Absolute() const {
    if (outside_) return "/" + Joined();
    return resolver_.PathTo(Joined());
  }

  const PathResolver& resolver_;
  const std::string path_;
  const LastLink last_;
  const bool quiet_;
  std::deque<std::string> todo_;
  size_t own_left_ = 0;
  std::vector<std::string> done_;  // From the root, or from "/" while outside_.
  bool outside_ = false;
  int links_ = 0;
  UniqueFd fd_;  // Of done_; closed where it was not opened yet.
};

PathResolver::PathResolver(PathResolverOptions options, UniqueFd root)
    : options_(std::move(options)),
      root_(std::move(root)),
      filesystem_root_(options_.follow_links_out ? ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1),
      root_path_(PathOfDescriptor(root_.get())) {}

Result<UniqueFd> PathResolver::Resolve(std::string_view path, LastLink last) const {
  const std::string name(path);
  if (!IsPlain(path)) return SystemError(ENOENT, name);
  if (IsOwnMount(PathTo(name), false)) return SystemError(ENOENT, name);
  auto fd = OpenPath(root_.get(), name);
  if (!fd && !IsLoop(fd.error())) return fd;
  if (fd && (last == LastLink::kKeep || !IsSymlink(fd->get()))) return fd;
  return LinkWalk(*this, path, last, false).Run();
}

std::string PathResolver::PathTo(std::string_view path) const {
  const char* const separator = path.empty() || root_path_ == "/" ? "" : "/";
  return fmt::format("{}{}{}", root_path_, separator, path);
}

bool PathResolver::IsEnterable(std::string_view path) const {
  const auto fd = LinkWalk(*this, path, LastLink::kEnter, true).Run();
  return fd && IsDirectory(fd->get());
}

bool PathResolver::IsOwnMount(std::string_view absolute, bool outside) const {
  // A mount over the root, or over a directory above it, is not in the way of the root's descriptor.
  const std::string& mountpoint = options_.mountpoint;
  if (mountpoint.empty() || !IsAtOrBelow(absolute, mountpoint)) return false;
  return outside || (mountpoint != root_path_ && IsAtOrBelow(mountpoint, root_path_));
}

void PathResolver::WarnOfHidden(const std::string& link) const {
  {
    MutexLock lock(mu_);
    if (warned_.size() >= kMaxWarnings || !warned_.insert(link).second) return;
  }
  log::Warning("{}: a link leads out of this layer, so what lies behind it is hidden here (--local-follow shows it)",
               PathTo(link));
}

}  // namespace s3overlay
