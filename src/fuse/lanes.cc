// SPDX-License-Identifier: Apache-2.0
#include "fuse/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace s3overlay {

Lanes::Lanes(const LanesOptions& options) {
  for (int i = 0; i < std::max(1, options.lanes); ++i) {
    const auto pool = [&](const char* kind) {
      return ThreadPoolOptions{
          .name = fmt::format("{}-{}", kind, i), .threads = options.threads, .queue_limit = options.queue_limit};
    };
    lanes_.push_back(std::unique_ptr<Lane>(new Lane{ThreadPool(pool("names")), ThreadPool(pool("bytes"))}));
  }
}

bool Lanes::TrySubmit(int lane, LaneKind kind, ThreadPool::Task task) {
  const size_t index = lane >= 0 && static_cast<size_t>(lane) < lanes_.size() ? static_cast<size_t>(lane) : 0;
  ThreadPool& pool = kind == LaneKind::kNames ? lanes_[index]->names : lanes_[index]->bytes;
  return pool.TrySubmit(std::move(task));
}

std::vector<QueueLength> Lanes::GetQueues() const {
  std::vector<QueueLength> queues;
  for (const auto& lane : lanes_) {
    queues.push_back(lane->names.GetQueue());
    queues.push_back(lane->bytes.GetQueue());
  }
  return queues;
}

void Lanes::Stop() {
  for (const auto& lane : lanes_) {
    lane->names.Stop();
    lane->bytes.Stop();
  }
}

}  // namespace s3overlay
