// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_waiter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <memory>
#include <new>
#include <thread>

namespace s3overlay {
namespace {

using Outcome = DiskWaiter::Outcome;

TEST(DiskWaiterTest, RunsWhatEndsInTime) {
  DiskWaiter waiter({.patience = std::chrono::minutes(1)});
  int runs = 0;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(waiter.Run([&] { ++runs; }), Outcome::kDone);
  EXPECT_EQ(runs, 100);
}

TEST(DiskWaiterTest, LeavesADiskAloneThatHangsUntilItHasAnswered) {
  int overdue = 0;
  std::latch answer(1);
  DiskWaiter waiter({.patience = std::chrono::milliseconds(20), .threads = 2, .on_overdue = [&] { ++overdue; }});
  EXPECT_EQ(waiter.Run([&] { answer.wait(); }), Outcome::kOverdue);
  EXPECT_EQ(overdue, 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(waiter.Run([] { FAIL() << "it still hangs"; }), Outcome::kRefused);
  answer.count_down();
  for (int i = 0; i < 6000 && waiter.Run([] {}) != Outcome::kDone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(overdue, 1) << "it answered, and was asked again";
}

TEST(DiskWaiterTest, WhatRunsOutOfMemoryEndsAndHarmsNobody) {
  DiskWaiter waiter({.patience = std::chrono::minutes(1)});
  EXPECT_EQ(waiter.Run([] { throw std::bad_alloc(); }), Outcome::kFailed);
  EXPECT_EQ(waiter.Run([] {}), Outcome::kDone);
}

}  // namespace
}  // namespace s3overlay
