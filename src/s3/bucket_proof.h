// SPDX-License-Identifier: Apache-2.0
//
// BucketProof: when each bucket last answered as a bucket does. A HEAD's 404 has no body that could tell a missing key
// from a missing bucket or a proxy's page; a proper answer a moment ago can.
#pragma once

#include <map>
#include <string>

#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"

namespace s3overlay::s3 {

// Thread-safe.
class BucketProof {
 public:
  BucketProof(Duration ttl, const Clock& clock) : ttl_(ttl), clock_(clock) {}

  void Record(const std::string& bucket) S3OVERLAY_EXCLUDES(mu_) {
    const TimePoint now = clock_.Now();
    MutexLock lock(mu_);
    proven_at_[bucket] = now;
  }

  bool IsFresh(const std::string& bucket) const S3OVERLAY_EXCLUDES(mu_) {
    const TimePoint now = clock_.Now();
    MutexLock lock(mu_);
    const auto found = proven_at_.find(bucket);
    return found != proven_at_.end() && now - found->second < ttl_;
  }

 private:
  const Duration ttl_;
  const Clock& clock_;

  mutable Mutex mu_;
  std::map<std::string, TimePoint> proven_at_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::s3
