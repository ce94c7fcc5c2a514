// SPDX-License-Identifier: Apache-2.0
//
// The question put to each S3 layer before a mount is up, so that a wrong key or bucket is an error of the command and
// not of the first program that opens a file.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay {

struct ProbeTarget {
  std::string spec;  // For messages.
  ObjectStore* store = nullptr;
  std::string bucket;
  std::string prefix;
};

struct ProbeOptions {
  bool outage_is_error = false;  // --on-outage error.
  Duration timeout = std::chrono::seconds(5);
  const std::atomic<bool>* cancelled = nullptr;
};

// Lists one key of each, side by side. Returns warnings about what the mount can live with; an error where it cannot.
Result<std::vector<std::string>> ProbeLayers(const std::vector<ProbeTarget>& targets, const ProbeOptions& options,
                                             const Clock& clock);

}  // namespace s3overlay
