// SPDX-License-Identifier: Apache-2.0
//
// FailedReads: what a handle has just waited for in vain. The kernel asks again for a page that it did not get, twice
// for one of a mapping, before a program hears of it; each time would be another time-out.
#pragma once

#include <optional>
#include <vector>

#include "s3overlay/byte_range.h"
#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Thread-safe.
class FailedReads {
 public:
  void Note(const ByteRange& range, const Error& error, TimePoint now) S3OVERLAY_EXCLUDES(mu_);

  // How a read that had all of this range in it failed a moment ago.
  std::optional<Error> Find(const ByteRange& range, TimePoint now) const S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Failure {
    ByteRange range;
    Error error;
    TimePoint at;
  };

  mutable Mutex mu_;
  std::vector<Failure> failures_ S3OVERLAY_GUARDED_BY(mu_);  // The newest last, and few.
};

}  // namespace s3overlay
