// SPDX-License-Identifier: Apache-2.0
#include "remote/single_flight.h"

#include <gtest/gtest.h>

#include <latch>
#include <new>
#include <thread>

#include "support/fake_clock.h"

namespace s3overlay {
namespace {

// No copy of it can be had.
struct TooLarge {
  TooLarge() = default;
  TooLarge(TooLarge&&) = default;
  TooLarge& operator=(TooLarge&&) = default;
  TooLarge(const TooLarge&) { throw std::bad_alloc(); }
  TooLarge& operator=(const TooLarge&) { throw std::bad_alloc(); }
};

TEST(SingleFlight, AnAnswerThatCannotBeCopiedIsTheLeadersOwn) {
  testing::FakeClock clock;
  SingleFlight<TooLarge> flights(clock);
  std::latch asked(1);
  std::latch waiting(1);
  std::thread leader([&] {
    EXPECT_TRUE(flights.Run("key", {}, [&]() -> Result<TooLarge> {
      asked.count_down();
      waiting.wait();
      return TooLarge();
    }));
  });
  asked.wait();
  bool asked_again = false;
  std::thread follower([&] {
    waiting.count_down();
    EXPECT_TRUE(flights.Run("key", {}, [&]() -> Result<TooLarge> {
      asked_again = true;
      return TooLarge();
    }));
  });
  leader.join();
  follower.join();
  EXPECT_TRUE(asked_again);
}

TEST(SingleFlight, ALeaderThatThrowsLeavesNothingBehind) {
  testing::FakeClock clock;
  SingleFlight<int> flights(clock);
  EXPECT_THROW((void)flights.Run("key", {}, []() -> Result<int> { throw std::bad_alloc(); }), std::bad_alloc);
  EXPECT_EQ(*flights.Run("key", {}, [] { return Result<int>(7); }), 7);
}

}  // namespace
}  // namespace s3overlay
