// SPDX-License-Identifier: Apache-2.0
//
// Findings: what the run found wrong, each with the last operations on that file.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "random/version_content.h"
#include "s3overlay/mutex.h"

namespace s3overlay::testing {

// Thread-safe.
class Findings {
 public:
  explicit Findings(const FilePlan& plan);

  // A line of the log of that file's operations; times are seconds since the start.
  void Note(uint16_t path, std::string_view who, std::string_view what) S3OVERLAY_EXCLUDES(mu_);
  // The same, in the logs of all files.
  void NoteAll(std::string_view who, std::string_view what) S3OVERLAY_EXCLUDES(mu_);

  // The first few are kept.
  void Report(uint16_t path, std::string_view who, std::string_view what) S3OVERLAY_EXCLUDES(mu_);
  // Of the run itself, with no file to it.
  void Report(std::string_view what) S3OVERLAY_EXCLUDES(mu_);

  bool any() const S3OVERLAY_EXCLUDES(mu_);
  std::string text() const S3OVERLAY_EXCLUDES(mu_);

 private:
  std::string Line(std::string_view who, std::string_view what) const;
  void Append(uint16_t path, std::string line) S3OVERLAY_REQUIRES(mu_);

  const FilePlan& plan_;
  const std::chrono::steady_clock::time_point start_;

  mutable Mutex mu_;
  std::vector<std::deque<std::string>> logs_ S3OVERLAY_GUARDED_BY(mu_);
  std::vector<std::string> found_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
