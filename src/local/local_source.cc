// SPDX-License-Identifier: Apache-2.0
#include "local/local_source.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "local/local_file.h"

namespace s3overlay {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

Result<struct stat> StatOf(const UniqueFd& fd) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return SystemError(errno, "stat");
  return status;
}

Result<Directory> OpenDirectory(const UniqueFd& path_fd, std::string_view path) {
  // "." below the O_PATH descriptor: the name is not looked at again.
  UniqueFd fd(::openat(path_fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return SystemError(errno, fmt::format("open directory {}", path));
  DIR* const directory = ::fdopendir(fd.get());
  if (directory == nullptr) return SystemError(errno, fmt::format("open directory {}", path));
  (void)fd.Release();  // The DIR owns it now.
  return Directory(directory);
}

bool IsDots(std::string_view name) { return name == "." || name == ".."; }

// Attributes of a name whose inode may not be looked at (a directory that can be read and not searched).
mode_t ModeOf(unsigned char directory_type) { return DTTOIF(directory_type); }

// The bytes of `get(buffer, size)`, which like getxattr(2) answers the size when asked with none. A value that grows
// meanwhile is asked for again, a few times.
Result<std::string> ReadGrowing(const std::function<ssize_t(char*, size_t)>& get, std::string_view what) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    const ssize_t size = get(nullptr, 0);
    if (size < 0) return SystemError(errno, what);
    std::string value(static_cast<size_t>(size), '\0');
    const ssize_t got = get(value.data(), value.size());
    if (got >= 0) return value.substr(0, static_cast<size_t>(got));
    if (errno != ERANGE) return SystemError(errno, what);
  }
  return SystemError(ERANGE, what);
}

bool IsWithoutXattrs(const Error& error) { return error.sys_errno == ENODATA || error.sys_errno == ENOTSUP; }

PathResolverOptions ToResolverOptions(const LocalSourceOptions& options) {
  return {.follow_links_out = options.follow_links_out, .mountpoint = options.mountpoint};
}

}  // namespace

Result<std::unique_ptr<LocalSource>> LocalSource::Open(LocalSourceOptions options, const std::string& path) {
  UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return SystemError(errno, fmt::format("open directory {}", path));
  return std::make_unique<LocalSource>(std::move(options), std::move(root));
}

LocalSource::LocalSource(LocalSourceOptions options, UniqueFd root)
    : options_(std::move(options)), resolver_(ToResolverOptions(options_), std::move(root)) {}

Result<Entry> LocalSource::Lookup(std::string_view path, const CallContext&) {
  auto fd = resolver_.Resolve(path, LastLink::kKeep);
  if (!fd) return fd.error();
  auto status = StatOf(*fd);
  if (!status) return status.error();
  return MakeEntry(std::string(path), *status);
}

Result<ListingPtr> LocalSource::List(std::string_view path, const CallContext& context) {
  auto fd = resolver_.Resolve(path, LastLink::kEnter);
  if (!fd) return fd.error();
  auto directory = OpenDirectory(*fd, path);
  if (!directory) return directory.error();
  const std::string hidden = OwnMountIn(fd->get());
  const std::string prefix = path.empty() ? "" : std::string(path) + "/";
  std::vector<ListedEntry> entries;
  while (true) {
    if (context.IsCancelled()) return Error{.code = ErrorCode::kCancelled, .message = std::string(path)};
    errno = 0;
    const dirent* const item = ::readdir(directory->get());
    if (item == nullptr && errno != 0) return SystemError(errno, fmt::format("read directory {}", path));
    if (item == nullptr) break;
    const std::string name = item->d_name;
    if (IsDots(name) || name == hidden) continue;
    struct stat status{};
    status.st_mode = ModeOf(item->d_type);
    const int failed = ::fstatat(::dirfd(directory->get()), item->d_name, &status, AT_SYMLINK_NOFOLLOW);
    if (failed != 0 && errno == ENOENT) continue;  // Gone since it was read.
    entries.push_back({.name = name, .entry = MakeEntry(prefix + name, status)});
  }
  std::ranges::sort(entries, {}, &ListedEntry::name);
  return ListingPtr(std::make_shared<EntryListing>(std::move(entries)));
}

Result<std::string> LocalSource::ReadLink(std::string_view path, const CallContext&) {
  auto fd = resolver_.Resolve(path, LastLink::kKeep);
  if (!fd) return fd.error();
  auto status = StatOf(*fd);
  if (!status) return status.error();
  if (!S_ISLNK(status->st_mode)) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = fmt::format("{} is no symbolic link", path)};
  }
  return ReadLinkOf(fd->get());
}

Result<std::shared_ptr<OpenFile>> LocalSource::Open(const Entry& entry, const CallContext&) {
  auto path_fd = resolver_.Resolve(entry.path, LastLink::kKeep);
  if (!path_fd && path_fd.error().code != ErrorCode::kNotFound) return path_fd.error();
  const Error gone{.code = ErrorCode::kVersionGone, .message = fmt::format("{} was replaced", entry.source)};
  if (!path_fd) return gone;
  auto status = StatOf(*path_fd);
  if (!status) return status.error();
  if (S_ISDIR(status->st_mode)) return Error{.code = ErrorCode::kIsADirectory, .message = entry.source};
  if (LocalVersion(*status) != entry.version) return gone;
  if (!S_ISREG(status->st_mode)) {
    // Opening a FIFO waits for its writer, and opening a device does whatever the device does.
    return Error{.code = ErrorCode::kUnsupported, .message = fmt::format("{} is no regular file", entry.source)};
  }
  // The inode that was looked at, whatever the name means by now. O_NONBLOCK: a lease on it is not waited for.
  UniqueFd fd(::open(ProcPathOf(path_fd->get()).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.is_open()) return SystemError(errno, fmt::format("open {}", entry.source));
  return std::shared_ptr<OpenFile>(std::make_shared<LocalFile>(std::move(fd), entry));
}

// What the entry was of, whatever its name means by now.
Result<UniqueFd> LocalSource::ResolveSame(const Entry& entry) const {
  auto fd = resolver_.Resolve(entry.path, LastLink::kKeep);
  if (!fd || entry.version.empty()) return fd;
  const auto status = StatOf(*fd);
  if (!status) return status.error();
  if (LocalVersion(*status) == entry.version) return fd;
  return Error{.code = ErrorCode::kVersionGone, .message = fmt::format("{} was replaced", entry.source)};
}

Result<std::vector<std::string>> LocalSource::ListXattr(const Entry& entry) {
  auto fd = ResolveSame(entry);
  if (!fd) return fd.error();
  const std::string file = ProcPathOf(fd->get());
  auto joined = ReadGrowing([&](char* buffer, size_t size) { return ::listxattr(file.c_str(), buffer, size); },
                            fmt::format("listxattr {}", entry.source));
  if (!joined && !IsWithoutXattrs(joined.error())) return joined.error();
  std::vector<std::string> names;
  if (!joined) return names;
  for (size_t begin = 0; begin < joined->size();) {
    const size_t end = std::min(joined->find('\0', begin), joined->size());
    names.push_back(joined->substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

Result<std::string> LocalSource::GetXattr(const Entry& entry, const std::string& name) {
  auto fd = ResolveSame(entry);
  if (!fd) return fd.error();
  const std::string file = ProcPathOf(fd->get());
  auto value =
      ReadGrowing([&](char* buffer, size_t size) { return ::getxattr(file.c_str(), name.c_str(), buffer, size); },
                  fmt::format("getxattr {} {}", entry.source, name));
  if (!value && IsWithoutXattrs(value.error())) {
    return Error{.code = ErrorCode::kNotFound, .message = value.error().message};
  }
  return value;
}

std::optional<FileSystemSpace> LocalSource::GetSpace() const {
  struct statvfs status{};
  if (::fstatvfs(resolver_.root().get(), &status) != 0) return std::nullopt;
  return FileSystemSpace{.total_bytes = uint64_t{status.f_blocks} * status.f_frsize,
                         .free_bytes = uint64_t{status.f_bavail} * status.f_frsize};
}

Entry LocalSource::MakeEntry(const std::string& path, const struct stat& status) const {
  Entry entry;
  entry.attributes = LocalAttributes(status);
  entry.path = path;
  entry.source = resolver_.PathTo(path);
  const FileType type = entry.attributes.type;
  if (type != FileType::kDirectory) entry.version = LocalVersion(status);
  if (type == FileType::kSymlink) entry.enterable = resolver_.IsEnterable(path);
  if (type != FileType::kRegular && type != FileType::kDirectory && type != FileType::kSymlink) {
    entry.readable = false;
    entry.reason = "neither a file nor a directory nor a link: shown, and never opened";
  }
  return entry;
}

std::string LocalSource::OwnMountIn(int fd) const {
  if (options_.mountpoint.empty()) return "";
  const std::filesystem::path mountpoint(options_.mountpoint);
  return PathOfDescriptor(fd) == mountpoint.parent_path() ? mountpoint.filename().string() : "";
}

}  // namespace s3overlay
