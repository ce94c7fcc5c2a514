// SPDX-License-Identifier: Apache-2.0
//
// Which error of a layer does what, and what may stand in for a layer that could not answer. Pure functions; the table
// of docs/semantics.md is decided here.
#pragma once

#include <optional>

#include "s3overlay/file_source.h"
#include "s3overlay/result.h"

namespace s3overlay {

// What a file of a later layer is worth while an earlier layer cannot answer.
enum class OnOutage {
  kFallback,  // It stands in, unless it is known to differ from what the earlier layer last had.
  kAny,       // It stands in, whatever is known.
  kError,     // It never stands in: the outage is the answer.
};

// What the failure of one layer means for the layers after it.
enum class FailureKind {
  kAbsent,      // Ask the next layer.
  kHidesLater,  // A component of the path is a file here: what later layers have below it is hidden.
  kOutage,      // Nothing was learned: a later layer may stand in.
  kFinal,       // The answer of the overlay. Throttled is one: it says nothing of the file and is no outage.
};

FailureKind Classify(ErrorCode code);

// Answers that rest on an outage live this long at most: they are to go when the store is back.
inline constexpr Duration kOutageTtl = std::chrono::seconds(1);

// Whether two entries are known not to be the same content. Links are never known to differ: what they lead to is
// looked up on its own.
bool IsKnownToDiffer(const Entry& last_known, const Entry& candidate);

// Whether `candidate` of a later layer may stand in for a layer that cannot answer and last knew `last_known`. A memory
// that does not answer may have known anything of a file.
bool MayStandIn(OnOutage on_outage, const Result<std::optional<Entry>>& last_known, const Entry& candidate);

// Whether what a layer last knew can be served although it cannot be asked: a directory, or a file of which `share` is
// cached. A block that is missing fails when it is read, so no byte is wrong.
bool CanServeLastKnown(const Entry& last_known, const CacheShare& share);

}  // namespace s3overlay
