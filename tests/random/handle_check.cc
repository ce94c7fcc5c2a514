// SPDX-License-Identifier: Apache-2.0
#include "random/handle_check.h"

#include <fmt/format.h>

namespace s3overlay::testing {

Verdict HandleCheck::OnSize(uint64_t size) {
  if (size_ && *size_ != size) return fmt::format("an open file of {} bytes has come to have {}", *size_, size);
  size_ = size;
  return CheckFacts();
}

Verdict HandleCheck::OnSource(bool is_local) {
  if (is_local_ && *is_local_ != is_local) return "an open file has changed its source";
  is_local_ = is_local;
  return CheckFacts();
}

Verdict HandleCheck::OnBytes(uint64_t offset, std::span<const std::byte> bytes) {
  if (!version_) {
    const auto shown = plan_->FindVersion(offset, bytes);
    if (shown && shown->path == path_) version_ = shown;
    if (const Verdict wrong = CheckFacts()) return wrong;
  }
  if (version_) return plan_->FindWrong(*version_, offset, bytes);
  // Too short to name a version, or no words of this file: then it is no version's.
  constexpr size_t kNamesOne = 15;
  if (bytes.size() < kNamesOne) return std::nullopt;
  return plan_->FindWrong({.path = path_}, offset, bytes);
}

Verdict HandleCheck::OnEnd(uint64_t offset) const {
  const uint64_t size = version_ ? plan_->SizeOf(*version_) : size_.value_or(0);
  if (offset >= size) return std::nullopt;
  return fmt::format("the end of the file at {}, and it has {} bytes", offset, size);
}

Verdict HandleCheck::CheckFacts() const {
  if (!version_) return std::nullopt;
  if (is_local_ && *is_local_ != version_->local) {
    return fmt::format("it says that it is {}, and its bytes are of {}", *is_local_ ? "the local file" : "the object",
                       Describe(*version_));
  }
  const uint64_t size = plan_->SizeOf(*version_);
  if (!size_ || *size_ == size) return std::nullopt;
  return fmt::format("its size is {}, and its bytes are of {}, which has {}", *size_, Describe(*version_), size);
}

}  // namespace s3overlay::testing
