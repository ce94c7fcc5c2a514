// SPDX-License-Identifier: Apache-2.0
#include "overlay/outage_policy.h"

namespace s3overlay {

FailureKind Classify(ErrorCode code) {
  if (code == ErrorCode::kNotFound) return FailureKind::kAbsent;
  if (code == ErrorCode::kNotADirectory) return FailureKind::kHidesLater;
  return IsOutage(code) ? FailureKind::kOutage : FailureKind::kFinal;
}

bool IsKnownToDiffer(const Entry& last_known, const Entry& candidate) {
  const FileType type = candidate.attributes.type;
  if (type == FileType::kSymlink || last_known.attributes.type == FileType::kSymlink) return false;
  if (type != last_known.attributes.type) return true;
  return type == FileType::kRegular && candidate.attributes.size != last_known.attributes.size;
}

bool MayStandIn(OnOutage on_outage, const Result<std::optional<Entry>>& last_known, const Entry& candidate) {
  switch (on_outage) {
    case OnOutage::kError: return false;
    case OnOutage::kAny: return true;
    case OnOutage::kFallback:
      if (!last_known) return candidate.attributes.type != FileType::kRegular;
      return !*last_known || !IsKnownToDiffer(**last_known, candidate);
  }
  return false;
}

bool CanServeLastKnown(const Entry& last_known, const CacheShare& share) {
  if (last_known.attributes.type == FileType::kDirectory) return true;
  if (last_known.attributes.type != FileType::kRegular || !last_known.readable) return false;
  return share.complete || share.bytes > 0 || last_known.attributes.size == 0;
}

}  // namespace s3overlay
