// SPDX-License-Identifier: Apache-2.0
#include "overlay/outage_policy.h"

namespace s3overlay {

FailureKind Classify(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound: return FailureKind::kAbsent;
    case ErrorCode::kNotADirectory: return FailureKind::kHidesLater;
    case ErrorCode::kUnavailable:
    case ErrorCode::kBadResponse:
    case ErrorCode::kTimedOut:
    case ErrorCode::kDenied:
    case ErrorCode::kCredentials:
    case ErrorCode::kMisconfigured: return FailureKind::kOutage;
    case ErrorCode::kIsADirectory:
    case ErrorCode::kThrottled:
    case ErrorCode::kVersionGone:
    case ErrorCode::kArchived:
    case ErrorCode::kWouldBlock:
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kSystem: return FailureKind::kFinal;
  }
  return FailureKind::kFinal;
}

bool IsKnownToDiffer(const Entry& last_known, const Entry& candidate) {
  const FileType type = candidate.attributes.type;
  if (type == FileType::kSymlink || last_known.attributes.type == FileType::kSymlink) return false;
  if (type != last_known.attributes.type) return true;
  return type == FileType::kRegular && candidate.attributes.size != last_known.attributes.size;
}

bool MayStandIn(OnOutage on_outage, const std::optional<Entry>& last_known, const Entry& candidate) {
  switch (on_outage) {
    case OnOutage::kError: return false;
    case OnOutage::kAny: return true;
    case OnOutage::kFallback: return !last_known || !IsKnownToDiffer(*last_known, candidate);
  }
  return false;
}

bool CanServeLastKnown(const Entry& last_known, const CacheShare& share) {
  if (last_known.attributes.type == FileType::kDirectory) return true;
  if (last_known.attributes.type != FileType::kRegular || !last_known.readable) return false;
  return share.complete || share.bytes > 0 || last_known.attributes.size == 0;
}

}  // namespace s3overlay
