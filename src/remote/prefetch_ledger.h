// SPDX-License-Identifier: Apache-2.0
//
// PrefetchLedger: for whom bytes are fetched ahead just now (open files, directories of small files), so that each gets
// an equal share of the memory, and what was fetched for those that fell silent can go.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "s3overlay/clock.h"

namespace s3overlay {

// Not thread-safe. Owners are told apart by their address, and never looked into.
class PrefetchLedger {
 public:
  void Note(const void* owner, TimePoint now) { last_use_[owner] = now; }
  bool Has(const void* owner) const { return last_use_.contains(owner); }
  // True where something may have been fetched for it.
  bool Remove(const void* owner) { return last_use_.erase(owner) > 0; }

  // What each owner may hold of `bytes`. Those that have fallen silent are not counted: theirs goes when it is needed.
  uint64_t ShareOf(uint64_t bytes, TimePoint now) const {
    const auto active = std::ranges::count_if(last_use_, [&](const auto& use) { return now - use.second <= kIdle; });
    return bytes / std::max<uint64_t>(1, static_cast<uint64_t>(active));
  }

  // Takes out and answers those that have asked for nothing for a while.
  std::vector<const void*> TakeIdle(TimePoint now) {
    std::vector<const void*> idle;
    for (const auto& [owner, used] : last_use_) {
      if (now - used > kIdle) idle.push_back(owner);
    }
    for (const void* owner : idle) last_use_.erase(owner);
    return idle;
  }

 private:
  static constexpr Duration kIdle = std::chrono::seconds(5);

  std::unordered_map<const void*, TimePoint> last_use_;
};

}  // namespace s3overlay
