// SPDX-License-Identifier: Apache-2.0
//
// Values of options, out of text. Every failure is kInvalidArgument with a message that says what would be right; who
// asks adds which option it was.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Bytes. K, M, G, T and KiB, MiB, ... are powers of 1024, KB, MB, ... powers of 1000; bare numbers are bytes. Fractions
// are fine where a unit follows ("1.5G").
Result<uint64_t> ParseSize(std::string_view text);

// A size, or a share of something whose size only the machine knows.
struct SizeOrPercent {
  uint64_t bytes = 0;
  double percent = 0;
  bool is_percent = false;

  uint64_t Of(uint64_t whole) const;
  friend bool operator==(const SizeOrPercent&, const SizeOrPercent&) = default;
};
Result<SizeOrPercent> ParseSizeOrPercent(std::string_view text);

// "500ms", "30s", "5m", "1h", "2d"; bare numbers are seconds. At most ten years.
Result<Duration> ParseDuration(std::string_view text);

// true, yes, on, 1; false, no, off, 0.
Result<bool> ParseSwitch(std::string_view text);

// A whole number of base 8 (permissions) or 10 (owners), up to `most`.
Result<uint32_t> ParseNumber(std::string_view text, int base, uint32_t most);

// The parts between separators, without white space around them; empty ones are left out.
std::vector<std::string> SplitList(std::string_view text, char separator);

std::string_view TrimSpace(std::string_view text);

}  // namespace s3overlay
