// SPDX-License-Identifier: Apache-2.0
#include "app/cache_tools.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <variant>

#include "app/mount_client.h"
#include "app/mounts.h"
#include "cache/disk_block_cache.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"

namespace s3overlay {
namespace {

constexpr auto kAskTimeout = std::chrono::seconds(10);

// Where the cache is: with a mount that owns it, or in a directory that nobody has open.
struct CachePlace {
  std::string mountpoint;  // Empty: nobody owns it.
  std::string dir;
};

Error NoCache(const std::string& dir) {
  return {.code = ErrorCode::kNotFound, .message = fmt::format("no cache there: {}", dir)};
}

Result<std::unique_ptr<ControlClient>> Connect(const std::string& mountpoint) {
  return ConnectToMount(mountpoint, kAskTimeout);
}

// The mount whose cache lies in `dir`.
Result<std::string> OwnerOf(const std::string& dir, const std::string& described) {
  const std::string marker = "mountpoint ";
  const size_t at = described.find(marker);
  if (at != std::string::npos) return described.substr(at + marker.size());
  return Error{.code = ErrorCode::kUnavailable, .message = fmt::format("{} is in use by {}", dir, described)};
}

Result<CachePlace> FindByDirectory(const std::string& dir) {
  if (!DiskBlockCache::Exists(dir)) return NoCache(dir);
  const auto owner = DiskBlockCache::FindOwner(dir);
  if (!owner) return CachePlace{.mountpoint = {}, .dir = dir};
  auto mountpoint = OwnerOf(dir, *owner);
  if (!mountpoint) return mountpoint.error();
  return CachePlace{.mountpoint = std::move(*mountpoint), .dir = dir};
}

Result<CachePlace> FindByMountpoint(const std::string& mountpoint) {
  const auto path = CanonicalPath(mountpoint);
  if (path && IsOverlayMount(*path)) return CachePlace{.mountpoint = *path, .dir = {}};
  return Error{.code = ErrorCode::kNotFound,
               .message = mountpoint + " is not mounted by s3overlay; name its cache with --cache-dir"};
}

Result<CachePlace> FindTheOnlyOne() {
  const auto mounts = FindMounts();
  if (mounts.size() == 1) return CachePlace{.mountpoint = mounts[0].mountpoint, .dir = {}};
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = fmt::format("which cache? {} mounts are live: pass a MOUNTPOINT or --cache-dir DIR",
                                      mounts.empty() ? "no" : fmt::format("{}", mounts.size()))};
}

Result<CachePlace> Find(const CacheTarget& target) {
  if (!target.dir.empty()) return FindByDirectory(target.dir);
  if (!target.mountpoint.empty()) return FindByMountpoint(target.mountpoint);
  return FindTheOnlyOne();
}

enum class Purpose { kLook, kClear };

// A look into a cache must change nothing: its block size is that of its last owner, and its limit is the disk. Only
// who clears it takes it whatever it is.
Result<std::unique_ptr<DiskBlockCache>> OpenDirectory(const std::string& dir, Purpose purpose, const Clock& clock,
                                                      Metrics& metrics) {
  std::error_code error;
  const auto space = std::filesystem::space(dir, error);
  if (error) return SystemError(error.value(), dir);
  DiskBlockCacheOptions options;
  options.dir = dir;
  options.size_limit = space.capacity;
  options.block_size = DiskBlockCache::FindBlockSize(dir).value_or(options.block_size);
  options.owner = "s3overlay cache";
  options.must_fit = purpose == Purpose::kLook;
  return DiskBlockCache::Open(std::move(options), clock, metrics);
}

int64_t PidOf(const StatusObject& status) {
  for (const auto& [name, field] : status) {
    if (name != "pid") continue;
    if (const auto* const pid = std::get_if<int64_t>(&field.value)) return *pid;
    if (const auto* const pid = std::get_if<uint64_t>(&field.value)) return static_cast<int64_t>(*pid);
  }
  return 0;
}

Result<CacheStatsAnswer> AskForStats(const std::string& mountpoint) {
  auto client = Connect(mountpoint);
  if (!client) return client.error();
  auto stats = (*client)->FetchCacheStats();
  if (!stats) return stats.error();
  const auto status = (*client)->FetchStatus();
  if (!status) return status.error();
  return CacheStatsAnswer{.stats = std::move(*stats), .owner_pid = PidOf(*status), .owner_mountpoint = mountpoint};
}

}  // namespace

Result<CacheStatsAnswer> GetCacheStats(const CacheTarget& target) {
  const auto place = Find(target);
  if (!place) return place.error();
  if (!place->mountpoint.empty()) return AskForStats(place->mountpoint);
  const SystemClock clock;
  Metrics metrics;
  const auto cache = OpenDirectory(place->dir, Purpose::kLook, clock, metrics);
  if (!cache) return cache.error();
  return CacheStatsAnswer{.stats = (*cache)->GetStats(), .owner_pid = 0, .owner_mountpoint = {}};
}

Result<void> ClearCache(const CacheTarget& target) {
  const auto place = Find(target);
  if (!place) return place.error();
  if (!place->mountpoint.empty()) {
    auto client = Connect(place->mountpoint);
    return client ? (*client)->ClearCache() : Result<void>(client.error());
  }
  const SystemClock clock;
  Metrics metrics;
  const auto cache = OpenDirectory(place->dir, Purpose::kClear, clock, metrics);
  if (!cache) return cache.error();
  (*cache)->Clear();
  return {};
}

Result<CacheVerifyReport> VerifyCache(const CacheTarget& target) {
  const auto place = Find(target);
  if (!place) return place.error();
  if (!place->mountpoint.empty()) {
    auto client = Connect(place->mountpoint);
    return client ? (*client)->VerifyCache({}) : Result<CacheVerifyReport>(client.error());
  }
  const SystemClock clock;
  Metrics metrics;
  const auto cache = OpenDirectory(place->dir, Purpose::kLook, clock, metrics);
  if (!cache) return cache.error();
  return (*cache)->Verify({});
}

}  // namespace s3overlay
