// SPDX-License-Identifier: Apache-2.0
#include "overlay/outage_log.h"

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr Duration kQuiet = std::chrono::minutes(1);

}  // namespace

OutageLog::OutageLog(const std::vector<std::string>& specs) {
  for (const std::string& spec : specs) layers_.emplace_back(spec);
}

void OutageLog::Failed(int layer, const Error& error) {
  // One key that is denied says nothing of the layer.
  if (error.code == ErrorCode::kDenied) return;
  LayerState& state = layers_[static_cast<size_t>(layer)];
  if (state.out.exchange(true)) return;
  {
    MutexLock lock(state.mu);
    const TimePoint now = clock_.Now();
    if (state.told || now < state.quiet_until) return;
    state.told = true;
    state.quiet_until = now + kQuiet;
  }
  log::Warning("layer {} cannot answer ({}: {}): the cache and later layers stand in where they may", state.spec,
               ErrorCodeName(error.code), error.message);
}

void OutageLog::Answered(int layer) {
  LayerState& state = layers_[static_cast<size_t>(layer)];
  if (!state.out.load(std::memory_order_relaxed) || !state.out.exchange(false)) return;
  {
    MutexLock lock(state.mu);
    if (!state.told) return;
    state.told = false;
  }
  log::Info("layer {} answers again", state.spec);
}

}  // namespace s3overlay
