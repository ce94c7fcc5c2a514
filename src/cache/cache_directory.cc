// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

namespace s3overlay {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "s3overlay cache ";

// mkdir with exactly 0700; one that is there already keeps its mode.
Result<void> MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) return SystemError(errno, fmt::format("make directory {}", path));
    struct stat attributes{};
    if (::stat(path.c_str(), &attributes) != 0) return SystemError(errno, fmt::format("open directory {}", path));
    return S_ISDIR(attributes.st_mode) ? Result<void>() : SystemError(ENOTDIR, fmt::format("open directory {}", path));
  }
  if (::chmod(path.c_str(), 0700) != 0) return SystemError(errno, fmt::format("chmod {}", path));
  return {};
}

Result<void> MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    S3OVERLAY_RETURN_IF_ERROR(MakeDirectory(path.substr(0, slash)));
  }
  return MakeDirectory(path);
}

// A directory that was there before: nobody else may put files of theirs in the place of ours. An empty one becomes
// private; one that holds something is its owner's to change.
Result<void> MakePrivate(const std::string& path) {
  struct stat attributes{};
  if (::stat(path.c_str(), &attributes) != 0) return SystemError(errno, fmt::format("open directory {}", path));
  if ((attributes.st_mode & 077) == 0) return {};
  std::error_code error;
  if (fs::is_empty(path, error)) {
    if (::chmod(path.c_str(), 0700) != 0) return SystemError(errno, fmt::format("chmod {}", path));
    return {};
  }
  if ((attributes.st_mode & 022) == 0) return {};
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = fmt::format("cache directory {}: other users may write to it; make it 0700, or pass another "
                                      "--cache-dir",
                                      path)};
}

Result<UniqueFd> OpenPrivate(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600));
  if (!fd.is_open()) return SystemError(errno, fmt::format("open {}", path));
  if (::fchmod(fd.get(), 0600) != 0) return SystemError(errno, fmt::format("chmod {}", path));
  return fd;
}

Result<void> WriteWhole(int fd, const std::string& text) {
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return SystemError(errno, "write into the cache directory");
  }
  return {};
}

std::string ReadStart(int fd) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), 0);
  std::string text(buffer.data(), count > 0 ? static_cast<size_t>(count) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string ReadFormat(const std::string& dir) {
  const UniqueFd fd(::open((dir + "/format").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return fd.is_open() ? ReadStart(fd.get()) : "";
}

bool IsFileAt(int fd, const std::string& path) {
  struct stat open_file{};
  struct stat named{};
  return ::fstat(fd, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 && open_file.st_ino == named.st_ino &&
         open_file.st_dev == named.st_dev;
}

// FindOwner holds the lock for an instant too, so one refusal proves nothing.
bool TryLock(int fd) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

Result<UniqueFd> TakeLock(const std::string& dir, std::string_view owner) {
  const std::string path = dir + "/lock";
  while (true) {
    auto fd = OpenPrivate(path, 0);
    if (!fd) return fd.error();
    if (!TryLock(fd->get())) {
      return Error{.code = ErrorCode::kInvalidArgument,
                   .message = fmt::format("cache directory {} is in use by {}; pass another --cache-dir", dir,
                                          ReadStart(fd->get()))};
    }
    if (!IsFileAt(fd->get(), path)) continue;  // Removed between open and lock.
    // For people. Where there is no room for it on the disk, the lock holds all the same.
    (void)WriteWhole(fd->get(), fmt::format("pid {}, mountpoint {}\n", ::getpid(), owner));
    return fd;
  }
}

std::vector<fs::path> NamesIn(const std::string& dir) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    paths.push_back(entry->path());
  }
  return paths;
}

bool IsPrefix(std::string_view name) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return name.size() == 2 && is_digit(name[0]) && is_digit(name[1]);
}

}  // namespace

std::string DataPath(const std::string& dir, const ObjectName& name, const std::string& extension) {
  const std::string hex = ToHex(name);
  return fmt::format("{}/data/{}/{}{}{}", dir, hex.substr(0, 2), hex, extension.empty() ? "" : ".", extension);
}

Result<std::unique_ptr<CacheDirectory>> CacheDirectory::Open(const std::string& dir, std::string_view owner) {
  S3OVERLAY_RETURN_IF_ERROR(MakeDirectories(dir));
  S3OVERLAY_RETURN_IF_ERROR(MakePrivate(dir));
  auto lock = TakeLock(dir, owner);
  if (!lock) return lock.error();
  S3OVERLAY_RETURN_IF_ERROR(MakeDirectory(dir + "/data"));
  S3OVERLAY_RETURN_IF_ERROR(MakeDirectory(dir + "/data/dying"));
  return std::unique_ptr<CacheDirectory>(new CacheDirectory(dir, std::move(*lock)));
}

std::optional<std::string> CacheDirectory::FindOwner(const std::string& dir) {
  const UniqueFd fd(::open((dir + "/lock").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.is_open() || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return std::nullopt;
  return ReadStart(fd.get());
}

bool CacheDirectory::Exists(const std::string& dir) { return ReadFormat(dir).starts_with(kMark); }

std::string CacheDirectory::FormatOf(const std::string& dir) { return ReadFormat(dir); }

std::string CacheDirectory::ThisFormat() { return fmt::format("{}{}", kMark, kFormat); }

bool CacheDirectory::IsOfThisFormat() const {
  const std::string format = ReadFormat(path_);
  return format.empty() || format == ThisFormat();
}

Result<void> CacheDirectory::WriteFormat() const {
  if (!ReadFormat(path_).empty() && IsOfThisFormat()) return {};
  auto fd = OpenPrivate(path_ + "/format", 0);
  if (!fd) return fd.error();
  return WriteWhole(fd->get(), ThisFormat() + "\n");
}

Result<void> CacheDirectory::MakeParent(const ObjectName& name) const {
  return MakeDirectory(fmt::format("{}/data/{}", path_, ToHex(name).substr(0, 2)));
}

Result<std::string> CacheDirectory::MoveToDying(const ObjectName& name, const std::string& extension) {
  const std::string from = DataPath(path_, name, extension);
  std::string to;
  do {
    to = fmt::format("{}/data/dying/{}.{}", path_, ToHex(name), next_dying_++);
  } while (::access(to.c_str(), F_OK) == 0);  // Of an earlier run.
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError(errno, fmt::format("rename {}", from));
  return to;
}

std::vector<CacheDirectory::DyingFile> CacheDirectory::FindDying() const {
  std::vector<DyingFile> files;
  for (const fs::path& path : NamesIn(path_ + "/data/dying")) {
    struct stat attributes{};
    if (!ParseObjectName(path.stem().string()) || ::lstat(path.c_str(), &attributes) != 0) continue;
    files.push_back({.path = path, .allocated = static_cast<uint64_t>(attributes.st_blocks) * 512});
  }
  return files;
}

void CacheDirectory::ForEachFile(const std::function<void(const FoundFile&)>& visit) const {
  for (const fs::path& parent : NamesIn(path_ + "/data")) {
    if (!IsPrefix(parent.filename().string())) continue;
    for (const fs::path& path : NamesIn(parent)) {
      const auto name = ParseObjectName(path.stem().string());
      const std::string extension = path.has_extension() ? path.extension().string().substr(1) : "";
      struct stat attributes{};
      if (!name || DataPath(path_, *name, extension) != path || ::lstat(path.c_str(), &attributes) != 0) continue;
      visit({.name = *name,
             .extension = extension,
             .inode = attributes.st_ino,
             .size = static_cast<uint64_t>(attributes.st_size),
             .allocated = static_cast<uint64_t>(attributes.st_blocks) * 512,
             .changed_ns = ChangeTimeOf(attributes)});
    }
  }
}

void CacheDirectory::RemoveContent() const {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((IndexPath() + suffix).c_str());
  ForEachFile([this](const FoundFile& file) { ::unlink(DataPath(path_, file.name, file.extension).c_str()); });
  for (const DyingFile& file : FindDying()) ::unlink(file.path.c_str());
}

uint64_t CacheDirectory::GetOverheadBytes() const {
  uint64_t bytes = 0;
  for (const fs::path& path : NamesIn(path_)) {
    struct stat attributes{};
    if (::lstat(path.c_str(), &attributes) == 0 && S_ISREG(attributes.st_mode)) {
      bytes += static_cast<uint64_t>(attributes.st_blocks) * 512;
    }
  }
  return bytes;
}

bool CacheDirectory::IsAlive() const {
  struct stat attributes{};
  return IsFileAt(lock_.get(), path_ + "/lock") && ::stat((path_ + "/data/dying").c_str(), &attributes) == 0;
}

}  // namespace s3overlay
