// SPDX-License-Identifier: Apache-2.0
#include "overlay/outage_log.h"

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr Duration kQuiet = std::chrono::minutes(1);

// What a layer knows from before answers in an outage too, beside the failures. Only answers alone are its end.
constexpr Duration kSettled = std::chrono::seconds(5);

}  // namespace

OutageLog::OutageLog(const std::vector<std::string>& specs) {
  for (const std::string& spec : specs) layers_.emplace_back(spec);
}

void OutageLog::Failed(int layer, const Error& error) {
  // One key that is denied says nothing of the layer.
  if (error.code == ErrorCode::kDenied) return;
  LayerState& state = layers_[static_cast<size_t>(layer)];
  const TimePoint now = clock_.Now();
  state.failed_at = now.time_since_epoch().count();
  state.out = true;
  if (state.told) return;
  {
    MutexLock lock(state.mu);
    if (now < state.quiet_until || state.told.exchange(true)) return;
    state.quiet_until = now + kQuiet;
  }
  log::Warning("layer {} cannot answer ({}: {}): the cache and later layers stand in where they may", state.spec,
               ErrorCodeName(error.code), error.message);
}

void OutageLog::Answered(int layer) {
  LayerState& state = layers_[static_cast<size_t>(layer)];
  if (!state.out.load(std::memory_order_relaxed)) return;
  if (clock_.Now() - TimePoint(Duration(state.failed_at)) < kSettled || !state.out.exchange(false)) return;
  if (!state.told.exchange(false)) return;
  log::Info("layer {} answers again", state.spec);
}

}  // namespace s3overlay
