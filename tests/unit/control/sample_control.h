// SPDX-License-Identifier: Apache-2.0
//
// A MountControl with one of everything, some of it hard to carry.
#pragma once

#include <atomic>
#include <cerrno>
#include <latch>
#include <stdexcept>
#include <thread>

#include "s3overlay/control.h"

namespace s3overlay::testing {

inline Resolution SampleResolution() {
  Resolution resolution;
  resolution.path = "odd \xff\xfe \"name\"\n\xc3\xa4";
  resolution.mountpoint = "/mnt/data";
  resolution.entry.attributes = {.type = FileType::kRegular,
                                 .size = UINT64_MAX,
                                 .allocated = 1,
                                 .mtime = WallTime(std::chrono::nanoseconds(1'700'000'000'123'456'789)),
                                 .mode = 0640};
  resolution.entry.path = resolution.path;
  resolution.entry.source = "s3://bucket/odd \xff\xfe";
  resolution.entry.version = "v1";
  resolution.entry.etag = "abc";
  resolution.entry.immutable = true;
  resolution.entry.readable = false;
  resolution.entry.state = FileState::kDegraded;
  resolution.entry.reason = "s3://bucket: timed out";
  resolution.entry.layer = 2;
  resolution.entry.ttl = std::chrono::seconds(3);
  resolution.cache = {.bytes = 12345, .complete = true};
  resolution.passthrough = true;
  resolution.layers = {{"s3://bucket", "unavailable", "timed out", 1.5}, {"/data", "yes", "", std::nullopt}};
  return resolution;
}

inline StatusObject SampleStatus() {
  return {{"pid", {uint64_t{42}}},
          {"offset", {int64_t{-1}}},
          {"uptime_s", {1.25}},
          {"ready", {true}},
          {"nothing", {}},
          {"layers", {StatusList{{StatusObject{{"spec", {std::string("s3://b")}}, {"ok", {false}}}}}}},
          {"memory", {StatusObject{{"limit", {UINT64_MAX}}}}}};
}

class SampleControl final : public MountControl {
 public:
  StatusObject GetStatus() override { return SampleStatus(); }

  Result<Resolution> Resolve(std::string_view path, const CallContext& context) override {
    if (path == "missing") return Error{ErrorCode::kNotFound, "no layer has it"};
    if (path == "broken") return SystemError(EIO, "read \xff");
    if (path == "bug") throw std::runtime_error("a bug");
    if (path == "bounded" && context.deadline.is_never()) return Error{ErrorCode::kInvalidArgument, "no deadline"};
    Resolution resolution = SampleResolution();
    resolution.path = path;
    return resolution;
  }

  Result<BlockCacheStats> GetCacheStats() override {
    BlockCacheStats stats;
    stats.dir = "/var/cache/\xff";
    stats.format = 3;
    stats.hits = 17;
    stats.clean_stop = false;
    return stats;
  }

  Result<void> ClearCache() override {
    ++clears;
    return {};
  }

  // Runs until it is cancelled.
  Result<CacheVerifyReport> VerifyCache(const CallContext& context) override {
    verifying.count_down();
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    verify_ended.count_down();
    return CacheVerifyReport{.objects = 1};
  }

  std::atomic<int> clears{0};
  std::latch verifying{1};
  std::latch verify_ended{1};
};

}  // namespace s3overlay::testing
