// SPDX-License-Identifier: Apache-2.0
//
// RunningMount: what a running mount answers to the command line.
#pragma once

#include <string>

#include "app/compose.h"
#include "fuse/session.h"
#include "s3overlay/control.h"

namespace s3overlay {

struct RunningMountOptions {
  std::string mountpoint;
  uint64_t memory_limit = 0;  // Bytes; for `status`.
};

// Thread-safe. Graph and session outlive it.
class RunningMount final : public MountControl {
 public:
  RunningMount(RunningMountOptions options, RunningGraph& graph, const FuseSession& session);

  StatusObject GetStatus() override;
  Result<Resolution> Resolve(std::string_view path, const CallContext& context) override;
  Result<BlockCacheStats> GetCacheStats() override;
  Result<void> ClearCache() override;
  Result<CacheVerifyReport> VerifyCache(const CallContext& context) override;

 private:
  Result<BlockCache*> Cache();
  StatusValue CacheStatus();
  StatusValue MemoryStatus() const;
  StatusValue QueueStatus() const;
  StatusValue ReadStatus() const;
  StatusValue RequestStatus() const;
  StatusValue MetricsStatus() const;
  StatusValue Counted(Metric metric) const { return {graph_.metrics().Get(metric)}; }

  const RunningMountOptions options_;
  const TimePoint started_at_;
  RunningGraph& graph_;
  const FuseSession& session_;
};

}  // namespace s3overlay
