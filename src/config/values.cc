// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace s3overlay {
namespace {

constexpr double kTenYearsInSeconds = 10.0 * 365 * 24 * 3600;

Error Invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

// "1.5G" as 1.5 and "G". Only digits and a point make the number: no sign, no exponent, no "inf".
struct NumberAndUnit {
  double number = 0;
  std::string_view unit;
};

std::optional<NumberAndUnit> SplitNumber(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789."));
  NumberAndUnit split;
  split.unit = TrimSpace(text.substr(digits.size()));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), split.number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return split;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); });
  return lower;
}

// How many bytes a unit is; nothing for what is none.
std::optional<uint64_t> BytesOfUnit(std::string_view unit) {
  const std::string lower = Lower(unit);
  if (lower.empty() || lower == "b") return 1;
  const size_t power = std::string_view("kmgt").find(lower[0]);
  if (power == std::string_view::npos) return std::nullopt;
  const std::string rest = lower.substr(1);
  if (rest != "" && rest != "ib" && rest != "b") return std::nullopt;
  uint64_t bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= rest == "b" ? 1000 : 1024;
  return bytes;
}

std::optional<double> SecondsOfUnit(std::string_view unit) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits = {
      {{"", 1}, {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
  for (const auto& [name, seconds] : kUnits) {
    if (unit == name) return seconds;
  }
  return std::nullopt;
}

// Exact where a double is not: whole numbers above 2^53.
std::optional<uint64_t> WholeBytes(std::string_view text, uint64_t unit) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_fraction = end != text.data() + text.size() && *end == '.';
  if (is_fraction || error != std::errc() || number > std::numeric_limits<uint64_t>::max() / unit) return std::nullopt;
  return number * unit;
}

}  // namespace

std::string_view TrimSpace(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Result<uint64_t> ParseSize(std::string_view text) {
  const auto split = SplitNumber(TrimSpace(text));
  const auto unit = split ? BytesOfUnit(split->unit) : std::nullopt;
  if (!unit) return Invalid(fmt::format("'{}' is no size; write bytes, or a number with K, M, G or T (\"64M\")", text));
  if (const auto whole = WholeBytes(TrimSpace(text), *unit)) return *whole;
  const double bytes = split->number * static_cast<double>(*unit);
  if (bytes >= 0x1p63) return Invalid(fmt::format("'{}' is more bytes than there can be", text));
  if (*unit == 1 && bytes != std::floor(bytes)) return Invalid(fmt::format("'{}' is no whole number of bytes", text));
  return static_cast<uint64_t>(bytes);
}

uint64_t SizeOrPercent::Of(uint64_t whole) const {
  return is_percent ? static_cast<uint64_t>(static_cast<double>(whole) * percent / 100) : bytes;
}

Result<SizeOrPercent> ParseSizeOrPercent(std::string_view text) {
  const std::string_view trimmed = TrimSpace(text);
  if (!trimmed.ends_with('%')) {
    Result<uint64_t> bytes = ParseSize(trimmed);
    if (!bytes) return Invalid(bytes.error().message + " or a share (\"10%\")");
    return SizeOrPercent{.bytes = *bytes};
  }
  const auto split = SplitNumber(trimmed.substr(0, trimmed.size() - 1));
  if (!split || !split->unit.empty() || split->number > 100) {
    return Invalid(fmt::format("'{}' is no share; write a number from 0 to 100 and '%'", text));
  }
  return SizeOrPercent{.percent = split->number, .is_percent = true};
}

Result<Duration> ParseDuration(std::string_view text) {
  const auto split = SplitNumber(TrimSpace(text));
  const auto unit = split ? SecondsOfUnit(split->unit) : std::nullopt;
  if (!unit) {
    return Invalid(fmt::format("'{}' is no time; write seconds, or a number with ms, s, m, h or d (\"500ms\")", text));
  }
  const double seconds = split->number * *unit;
  if (seconds > kTenYearsInSeconds) return Invalid(fmt::format("'{}' is longer than ten years", text));
  return std::chrono::round<Duration>(std::chrono::duration<double>(seconds));
}

Result<bool> ParseSwitch(std::string_view text) {
  const std::string lower = Lower(TrimSpace(text));
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (lower == yes) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (lower == no) return false;
  }
  return Invalid(fmt::format("'{}' is neither true nor false", text));
}

Result<uint32_t> ParseNumber(std::string_view text, int base, uint32_t most) {
  const std::string_view trimmed = TrimSpace(text);
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number, base);
  if (trimmed.empty() || error != std::errc() || end != trimmed.data() + trimmed.size() || number > most) {
    return base == 8 ? Invalid(fmt::format("'{}' is no mode; write octal digits up to {:04o} (\"0444\")", text, most))
                     : Invalid(fmt::format("'{}' is no whole number from 0 to {}", text, most));
  }
  return number;
}

std::vector<std::string> SplitList(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    if (const std::string_view part = TrimSpace(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace s3overlay
