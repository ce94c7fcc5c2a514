// SPDX-License-Identifier: Apache-2.0
#include "s3/dates.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace s3overlay::s3 {
namespace {

struct Fields {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<WallTime> ToTime(const Fields& fields) {
  const std::chrono::year_month_day date{std::chrono::year(fields.year),
                                         std::chrono::month(static_cast<unsigned>(fields.month)),
                                         std::chrono::day(static_cast<unsigned>(fields.day))};
  // Nanoseconds in 64 bits span 292 years: so far apart the difference of two dates still fits. Second 60 is a leap
  // second.
  if (!date.ok() || fields.year < 1970 || fields.year > 2200) return std::nullopt;
  if (fields.hour > 23 || fields.minute > 59 || fields.second > 60) return std::nullopt;
  return WallTime(std::chrono::sys_days(date) + std::chrono::hours(fields.hour) + std::chrono::minutes(fields.minute) +
                  std::chrono::seconds(fields.second));
}

// Takes the pieces of `text` that `pattern` marks: a letter stands for a digit of that field, '?' for anything, and
// everything else for itself.
std::optional<Fields> Match(std::string_view text, std::string_view pattern) {
  static constexpr std::string_view kLetters = "YODHMS";  // O: month
  Fields fields;
  const std::array<int*, kLetters.size()> targets = {&fields.year, &fields.month,  &fields.day,
                                                     &fields.hour, &fields.minute, &fields.second};
  if (text.size() != pattern.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] == '?') continue;
    const size_t letter = kLetters.find(pattern[i]);
    if (letter == std::string_view::npos) {
      if (text[i] != pattern[i]) return std::nullopt;
      continue;
    }
    const std::optional<int> digit = ParseNumber(text.substr(i, 1));
    if (!digit) return std::nullopt;
    *targets[letter] = *targets[letter] * 10 + *digit;
  }
  return fields;
}

}  // namespace

std::optional<WallTime> ParseHttpDate(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // The letters of "GMT" would be fields: the end is compared apart.
  if (!text.ends_with(" GMT")) return std::nullopt;
  std::optional<Fields> fields = Match(text.substr(0, text.size() - 4), "???, DD ??? YYYY HH:MM:SS");
  if (!fields) return std::nullopt;
  const auto* month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  fields->month = static_cast<int>(month - kMonths.begin()) + 1;
  return ToTime(*fields);
}

std::optional<WallTime> ParseIsoDate(std::string_view text) {
  if (text.size() < 20 || text.back() != 'Z') return std::nullopt;
  const std::optional<Fields> fields = Match(text.substr(0, 19), "YYYY-OO-DDTHH:MM:SS");
  std::optional<WallTime> time = fields ? ToTime(*fields) : std::nullopt;
  std::string_view fraction = text.substr(19, text.size() - 20);
  if (!time || fraction.empty()) return time;
  if (fraction.front() != '.' || fraction.size() < 2 || fraction.size() > 10) return std::nullopt;
  std::string digits(fraction.substr(1));
  digits.resize(9, '0');
  const std::optional<int> nanoseconds = ParseNumber(digits);
  if (!nanoseconds) return std::nullopt;
  return *time + std::chrono::nanoseconds(*nanoseconds);
}

namespace {

Fields Split(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time_of_day(std::chrono::floor<std::chrono::seconds>(time - day));
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(time_of_day.hours().count()),
          static_cast<int>(time_of_day.minutes().count()),
          static_cast<int>(time_of_day.seconds().count())};
}

}  // namespace

std::string FormatIsoDate(WallTime time) {
  const Fields f = Split(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

std::string FormatSigningTime(WallTime time) {
  const Fields f = Split(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

}  // namespace s3overlay::s3
