// SPDX-License-Identifier: Apache-2.0
//
// FaultTest: a real mount whose store does what stores and networks do, and a watch beside it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {

// Sanitizers make everything 5 to 15 times slower, and two tests run side by side.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kSlowMachine = 4.0;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr double kSlowMachine = 4.0;
#else
inline constexpr double kSlowMachine = 1.0;
#endif
#else
inline constexpr double kSlowMachine = 1.0;
#endif

// What is promised in seconds, with half a second for the measurement itself, and more where a sanitizer watches.
inline double Promise(double seconds) { return seconds + 0.5 * kSlowMachine; }

inline double SecondsOf(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class FaultTest : public MountTest {
 protected:
  using Store = FaultProxy::Store;

  // "closed", "open" or "half-open", as `status` shows it.
  std::string BreakerState() const { return Endpoint().value("breaker", ""); }
  nlohmann::json Endpoint() const { return mount().Status().at("endpoints").at(0); }
  bool ComesToBreaker(const std::string& state) const {
    return Eventually([&] { return BreakerState() == state; });
  }

  void CutOff(Store how) {
    proxy().SetStore(how);
    ComeToBeCutOff();
  }
  // The breaker opens without anybody waiting for it: names that are not known are asked for.
  void ComeToBeCutOff() {
    int name = 0;
    EXPECT_TRUE(Eventually([&] {
      StatError(At("cut-off-" + std::to_string(++name)));
      return BreakerState() != "closed";
    }));
  }

  const Mount& mount() const { return const_cast<FaultTest*>(this)->MountTest::mount(); }
};

}  // namespace s3overlay::testing
