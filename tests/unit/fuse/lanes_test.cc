// SPDX-License-Identifier: Apache-2.0
//
// Lanes, and the errno that programs see.
#include "fuse/lanes.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>

#include "fuse/errno_map.h"

namespace s3overlay {
namespace {

TEST(Lanes, AHungPoolDelaysNoOther) {
  Lanes lanes({.lanes = 2, .threads = 1, .queue_limit = 4});
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  ASSERT_TRUE(lanes.TrySubmit(0, LaneKind::kBytes, [open] { open.wait(); }));
  std::promise<void> names;
  std::promise<void> other_lane;
  ASSERT_TRUE(lanes.TrySubmit(0, LaneKind::kNames, [&] { names.set_value(); }));
  ASSERT_TRUE(lanes.TrySubmit(1, LaneKind::kBytes, [&] { other_lane.set_value(); }));
  names.get_future().wait();
  other_lane.get_future().wait();
  gate.set_value();
  lanes.Stop();
}

TEST(Lanes, AFullQueueRefusesAndAnUnknownLaneIsTheFirst) {
  Lanes lanes({.lanes = 1, .threads = 1, .queue_limit = 1});
  std::promise<void> started;
  std::promise<void> gate;
  ASSERT_TRUE(lanes.TrySubmit(7, LaneKind::kBytes, [&] {
    started.set_value();
    gate.get_future().wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(lanes.TrySubmit(0, LaneKind::kBytes, [] {}));
  EXPECT_FALSE(lanes.TrySubmit(-1, LaneKind::kBytes, [] {}));
  const std::vector<QueueLength> queues = lanes.GetQueues();
  ASSERT_EQ(queues.size(), 2U);
  EXPECT_EQ(queues[0].name, "names-0");
  EXPECT_EQ(queues[0].length, 0U);
  EXPECT_EQ(queues[1].name, "bytes-0");
  EXPECT_EQ(queues[1].length, 1U);
  gate.set_value();
  lanes.Stop();
  EXPECT_FALSE(lanes.TrySubmit(0, LaneKind::kNames, [] {}));
}

TEST(ErrnoMap, SaysWhatItIs) {
  const auto of = [](ErrorCode code) { return ErrnoOf(Error{.code = code, .message = ""}); };
  EXPECT_EQ(of(ErrorCode::kNotFound), ENOENT);
  EXPECT_EQ(of(ErrorCode::kUnavailable), EIO);  // An outage is not an absence.
  EXPECT_EQ(of(ErrorCode::kTimedOut), ETIMEDOUT);
  EXPECT_EQ(of(ErrorCode::kThrottled), ETIMEDOUT);
  EXPECT_EQ(of(ErrorCode::kDenied), EACCES);
  EXPECT_EQ(of(ErrorCode::kArchived), EACCES);
  EXPECT_EQ(of(ErrorCode::kVersionGone), ESTALE);
  EXPECT_EQ(ErrnoOf(SystemError(ELOOP, "x")), ELOOP);
  EXPECT_EQ(of(ErrorCode::kSystem), EIO);  // Never 0, which would be success.
}

}  // namespace
}  // namespace s3overlay
