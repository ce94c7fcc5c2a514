// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace s3overlay {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Error{.code = ErrorCode::kInvalidArgument, .message = "odd"};
  return value / 2;
}

Result<void> HalveTwice(int value) {
  auto half = Half(value);
  if (!half) return half.error();
  S3OVERLAY_RETURN_IF_ERROR(Half(*half));
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*Half(4), 2);
  EXPECT_EQ(Half(3).error().code, ErrorCode::kInvalidArgument);
}

TEST(Result, ErrorsTravelUp) {
  EXPECT_TRUE(HalveTwice(4).has_value());
  EXPECT_EQ(HalveTwice(6).error().message, "odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(ResultDeathTest, AskingTheWrongSideEndsTheProcess) { EXPECT_DEATH((void)*Half(3), ""); }

TEST(SystemError, MissingThingsAreAbsence) {
  EXPECT_EQ(SystemError(ENOENT, "open x").code, ErrorCode::kNotFound);
  EXPECT_EQ(SystemError(ENOTDIR, "open x").code, ErrorCode::kNotADirectory);
  const Error error = SystemError(EMFILE, "open x");
  EXPECT_EQ(error.code, ErrorCode::kSystem);
  EXPECT_EQ(error.sys_errno, EMFILE);
  EXPECT_NE(error.message.find("open x: "), std::string::npos);
}

TEST(IsOutage, AbsenceAndThrottlingAreNone) {
  EXPECT_TRUE(IsOutage(ErrorCode::kUnavailable));
  EXPECT_TRUE(IsOutage(ErrorCode::kDenied));
  EXPECT_FALSE(IsOutage(ErrorCode::kNotFound));
  EXPECT_FALSE(IsOutage(ErrorCode::kThrottled));
  EXPECT_FALSE(IsOutage(ErrorCode::kWouldBlock));
}

}  // namespace
}  // namespace s3overlay
