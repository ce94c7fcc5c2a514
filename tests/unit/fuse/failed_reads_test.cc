// SPDX-License-Identifier: Apache-2.0
#include "fuse/failed_reads.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace s3overlay {
namespace {

using std::chrono::milliseconds;

TEST(FailedReads, APartOfOneThatFailedFailsForAMoment) {
  testing::FakeClock clock;
  FailedReads failed;
  failed.Note({4096, 131072}, {ErrorCode::kTimedOut, "silence"}, clock.Now());
  failed.Note({1 << 20, 4096}, {ErrorCode::kVersionGone, "gone"}, clock.Now());
  clock.Advance(milliseconds(900));
  const auto page = failed.Find({8192, 4096}, clock.Now());
  ASSERT_TRUE(page);
  EXPECT_EQ(page->code, ErrorCode::kTimedOut);
  EXPECT_EQ(failed.Find({1 << 20, 4096}, clock.Now())->code, ErrorCode::kVersionGone);
  EXPECT_FALSE(failed.Find({0, 8192}, clock.Now())) << "some of it was not tried";
  clock.Advance(milliseconds(100));
  EXPECT_FALSE(failed.Find({8192, 4096}, clock.Now())) << "who tries again later is not put off";
}

TEST(FailedReads, OnlySomeAreKept) {
  testing::FakeClock clock;
  FailedReads failed;
  for (uint64_t i = 0; i < 1000; ++i) failed.Note({i * 4096, 4096}, {ErrorCode::kTimedOut, ""}, clock.Now());
  EXPECT_FALSE(failed.Find({0, 4096}, clock.Now()));
  EXPECT_TRUE(failed.Find({999 * 4096, 4096}, clock.Now()));
}

}  // namespace
}  // namespace s3overlay
