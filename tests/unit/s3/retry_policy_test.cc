// SPDX-License-Identifier: Apache-2.0
#include "s3/retry_policy.h"

#include <gtest/gtest.h>

namespace s3overlay::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Failure Fails(Remedy remedy, std::optional<Duration> retry_after = {}) {
  return {.error = {}, .remedy = remedy, .retry_after = retry_after, .store_time = {}};
}

std::optional<Duration> Delay(const Failure& failure, RetryCount count, double random = 0.5,
                              Duration remaining = Duration::max()) {
  return NextDelay(RetryPolicy{}, failure, count, remaining, random);
}

TEST(RetryPolicy, JitterIsFullAndItsCeilingDoublesUpToTheCap) {
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 0}, 0.0), Duration::zero());
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 0}), milliseconds(50));
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 1}), milliseconds(100));
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 4}), milliseconds(800));
  EXPECT_EQ(Delay(Fails(Remedy::kSlowDown), {.retries = 0, .slow_downs = 1000}), milliseconds(2600));
}

TEST(RetryPolicy, EndsWithTheBudgetAndTheDeadline) {
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 5}), std::nullopt);
  EXPECT_EQ(Delay(Fails(Remedy::kRetry), {.retries = 0}, 0.5, milliseconds(50)), std::nullopt);
  EXPECT_EQ(Delay(Fails(Remedy::kNone), {}), std::nullopt);
  EXPECT_EQ(Delay(Fails(Remedy::kNewCredentials), {}), std::nullopt);
}

TEST(RetryPolicy, AStoreThatIsBusyIsGivenTimeUntilTheDeadline) {
  EXPECT_EQ(Delay(Fails(Remedy::kSlowDown), {.retries = 5, .slow_downs = 0}, 0.0), milliseconds(100))
      << "never at once";
  EXPECT_EQ(Delay(Fails(Remedy::kSlowDown, seconds(60)), {}, 0.5, seconds(3)), seconds(3));
}

TEST(RetryPolicy, IsNeverSoonerThanTheStoreWishes) {
  EXPECT_EQ(Delay(Fails(Remedy::kRetry, seconds(7)), {}), seconds(7));
  EXPECT_EQ(Delay(Fails(Remedy::kSlowDown, seconds(7)), {}), seconds(7));
  EXPECT_EQ(Delay(Fails(Remedy::kRetry, seconds(7)), {}, 0.5, seconds(7)), std::nullopt);
}

}  // namespace
}  // namespace s3overlay::s3
