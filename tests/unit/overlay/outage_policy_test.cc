// SPDX-License-Identifier: Apache-2.0
//
// Every error code of the first layer, under every --on-outage, with every kind of file in the second layer.
#include "overlay/outage_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "unit/overlay/overlay_fixture.h"

namespace s3overlay {
namespace {

using testing::TestOverlay;

enum class StandIn { kNone, kSame, kDiffers };

// What reading a file gives: its layer's bytes or an error's name. The first layer last knew 5 bytes.
std::string Outcome(ErrorCode code, OnOutage on_outage, StandIn stand_in) {
  TestOverlay overlay({"", ""}, on_outage);
  overlay[0].AddFile("f", "first");
  overlay[0].Remember("f");
  overlay[0].Fail(code);
  if (stand_in == StandIn::kSame) overlay[1].AddFile("f", "later");
  if (stand_in == StandIn::kDiffers) overlay[1].AddFile("f", "longer later");
  const auto entry = overlay.Lookup("f");
  if (!entry) return std::string(ErrorCodeName(entry.error().code));
  if (!entry->readable) return overlay.Read("f");  // Shown as it was last known.
  return std::string(FileStateName(entry->state)) + ":" + overlay.Read("f");
}

struct Row {
  ErrorCode code;
  const char* none;      // Nothing in the second layer.
  const char* same;      // --on-outage fallback or any; a file of the same size.
  const char* differs;   // fallback; a file of another size.
  const char* any;       // any; a file of another size.
  const char* on_error;  // error; a file of the same size.
};

constexpr Row kRows[] = {
    {ErrorCode::kNotFound, "not found", "fallback:later", "fallback:longer later", "fallback:longer later",
     "fallback:later"},
    {ErrorCode::kUnavailable, "unavailable", "degraded:later", "unavailable", "degraded:longer later", "unavailable"},
    {ErrorCode::kBadResponse, "bad response", "degraded:later", "bad response", "degraded:longer later",
     "bad response"},
    {ErrorCode::kTimedOut, "timed out", "degraded:later", "timed out", "degraded:longer later", "timed out"},
    {ErrorCode::kDenied, "denied", "degraded:later", "denied", "degraded:longer later", "denied"},
    {ErrorCode::kCredentials, "credentials refused", "degraded:later", "credentials refused", "degraded:longer later",
     "credentials refused"},
    {ErrorCode::kMisconfigured, "misconfigured", "degraded:later", "misconfigured", "degraded:longer later",
     "misconfigured"},
};

TEST(OutagePolicy, TableOfStandIns) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(ErrorCodeName(row.code));
    for (const OnOutage any_of : {OnOutage::kFallback, OnOutage::kAny, OnOutage::kError}) {
      EXPECT_EQ(Outcome(row.code, any_of, StandIn::kNone), row.none);
    }
    EXPECT_EQ(Outcome(row.code, OnOutage::kFallback, StandIn::kSame), row.same);
    EXPECT_EQ(Outcome(row.code, OnOutage::kAny, StandIn::kSame), row.same);
    EXPECT_EQ(Outcome(row.code, OnOutage::kFallback, StandIn::kDiffers), row.differs);
    EXPECT_EQ(Outcome(row.code, OnOutage::kAny, StandIn::kDiffers), row.any);
    EXPECT_EQ(Outcome(row.code, OnOutage::kError, StandIn::kSame), row.on_error);
  }
}

TEST(OutagePolicy, NothingStandsInForOtherErrors) {
  for (const ErrorCode code :
       {ErrorCode::kNotADirectory, ErrorCode::kIsADirectory, ErrorCode::kThrottled, ErrorCode::kVersionGone,
        ErrorCode::kArchived, ErrorCode::kWouldBlock, ErrorCode::kCancelled, ErrorCode::kInvalidArgument,
        ErrorCode::kUnsupported, ErrorCode::kSystem}) {
    for (const OnOutage on_outage : {OnOutage::kFallback, OnOutage::kAny, OnOutage::kError}) {
      for (const StandIn stand_in : {StandIn::kNone, StandIn::kSame, StandIn::kDiffers}) {
        EXPECT_EQ(Outcome(code, on_outage, stand_in), ErrorCodeName(code));
      }
    }
  }
}

TEST(OutagePolicy, AMemoryThatDoesNotAnswerIsNoPermission) {
  for (const auto& [on_outage, expected] :
       {std::pair{OnOutage::kFallback, "unavailable"}, {OnOutage::kAny, "later"}, {OnOutage::kError, "unavailable"}}) {
    TestOverlay overlay({"", ""}, on_outage);
    overlay[0].AddFile("f", "first");
    overlay[0].Fail(ErrorCode::kUnavailable);
    overlay[0].LoseMemory();
    overlay[1].AddFile("f", "later");
    overlay[1].AddDirectory("d");
    EXPECT_EQ(overlay.Read("f"), expected);
    EXPECT_EQ(overlay.Lookup("d").has_value(), on_outage != OnOutage::kError);
  }
}

TEST(OutagePolicy, WhatIsKnownToDiffer) {
  const auto entry = [](FileType type, uint64_t size) {
    Entry made;
    made.attributes.type = type;
    made.attributes.size = size;
    return made;
  };
  const Entry file = entry(FileType::kRegular, 5);
  EXPECT_FALSE(IsKnownToDiffer(file, entry(FileType::kRegular, 5)));
  EXPECT_TRUE(IsKnownToDiffer(file, entry(FileType::kRegular, 6)));
  EXPECT_TRUE(IsKnownToDiffer(file, entry(FileType::kDirectory, 0)));
  EXPECT_FALSE(IsKnownToDiffer(file, entry(FileType::kSymlink, 9)));
  EXPECT_FALSE(IsKnownToDiffer(entry(FileType::kDirectory, 0), entry(FileType::kDirectory, 4096)));
}

}  // namespace
}  // namespace s3overlay
