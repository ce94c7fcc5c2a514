// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what another thread or process will make true: with a long limit, for no test depends on how fast the
// machine is.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace s3overlay::testing {

inline constexpr std::chrono::seconds kLongWait{60};

// Polls until `condition` holds; false when the limit passes first.
inline bool Eventually(const std::function<bool()>& condition, std::chrono::seconds limit = kLongWait) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace s3overlay::testing
