// SPDX-License-Identifier: Apache-2.0
#include "s3/pacer.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

namespace s3overlay::s3 {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds(100);

}  // namespace

SleepingPacer::SleepingPacer(const Clock& clock) : clock_(clock), state_(std::random_device{}()) {}

// SplitMix64 (Steele, Lea, Flood 2014): one atomic addition a number, good enough to spread retries.
double SleepingPacer::Random() {
  uint64_t z = state_.fetch_add(0x9e3779b97f4a7c15ULL, std::memory_order_relaxed);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1.0p-53;
}

void SleepingPacer::Wait(Duration duration, const CallContext& context) {
  Duration left = duration;
  while (left > Duration::zero() && !context.IsCancelled() && !context.deadline.HasPassed(clock_)) {
    const Duration slice = std::min({left, kSlice, context.deadline.Remaining(clock_)});
    std::this_thread::sleep_for(slice);
    left -= slice;
  }
}

}  // namespace s3overlay::s3
