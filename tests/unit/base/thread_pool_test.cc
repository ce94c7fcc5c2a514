// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <new>

namespace s3overlay {
namespace {

TEST(ThreadPool, RunsEveryTask) {
  ThreadPool pool({.name = "t", .threads = 3, .queue_limit = 1000});
  std::atomic<int> done{0};
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.TrySubmit([&] { ++done; }));
  pool.WaitIdle();
  EXPECT_EQ(done, 500);
}

TEST(ThreadPool, ATaskThatWaitsDoesNotHoldUpOthers) {
  ThreadPool pool({.name = "t", .threads = 2, .queue_limit = 10});
  std::latch release(1);
  std::latch other_ran(1);
  ASSERT_TRUE(pool.TrySubmit([&] { release.wait(); }));
  ASSERT_TRUE(pool.TrySubmit([&] { other_ran.count_down(); }));
  other_ran.wait();
  release.count_down();
}

TEST(ThreadPool, RefusesWhatDoesNotFitItsQueue) {
  ThreadPool pool({.name = "t", .threads = 1, .queue_limit = 1});
  std::latch running(1);
  std::latch release(1);
  ASSERT_TRUE(pool.TrySubmit([&] {
    running.count_down();
    release.wait();
  }));
  running.wait();
  EXPECT_TRUE(pool.TrySubmit([] {}));
  EXPECT_FALSE(pool.TrySubmit([] {}));
  EXPECT_EQ(pool.GetQueue().length, 1U);  // Without the one that runs.
  EXPECT_EQ(pool.GetQueue().limit, 1U);
  EXPECT_EQ(pool.GetQueue().name, "t");
  release.count_down();
  pool.WaitIdle();
  EXPECT_EQ(pool.GetQueue().length, 0U);
}

TEST(ThreadPool, StopDropsWhatWaitsAndTakesNoMore) {
  ThreadPool pool({.name = "t", .threads = 1, .queue_limit = 10});
  pool.Stop();
  EXPECT_FALSE(pool.TrySubmit([] {}));
}

TEST(ThreadPool, ATaskThatRunsOutOfMemoryIsGivenUp) {
  ThreadPool pool({.name = "t", .threads = 1, .queue_limit = 10});
  bool ran = false;
  ASSERT_TRUE(pool.TrySubmit([] { throw std::bad_alloc(); }));
  ASSERT_TRUE(pool.TrySubmit([&] { ran = true; }));
  pool.WaitIdle();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace s3overlay
