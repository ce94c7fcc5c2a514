// SPDX-License-Identifier: Apache-2.0
//
// HandleCheck: holds everything that one open file (or one mapping) shows to one version of one source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "random/version_content.h"

namespace s3overlay::testing {

// What is wrong, or nothing.
using Verdict = std::optional<std::string>;

class HandleCheck {
 public:
  HandleCheck(const FilePlan& plan, uint16_t path) : plan_(&plan), path_(path) {}

  Verdict OnSize(uint64_t size);
  Verdict OnSource(bool is_local);
  Verdict OnBytes(uint64_t offset, std::span<const std::byte> bytes);
  // A read answered that nothing is left there.
  Verdict OnEnd(uint64_t offset) const;

  // Known once a whole word was read.
  const std::optional<Version>& version() const { return version_; }
  std::optional<uint64_t> size() const { return size_; }
  uint16_t path() const { return path_; }

 private:
  Verdict CheckFacts() const;

  const FilePlan* plan_;
  uint16_t path_;
  std::optional<Version> version_;
  std::optional<uint64_t> size_;
  std::optional<bool> is_local_;
};

}  // namespace s3overlay::testing
