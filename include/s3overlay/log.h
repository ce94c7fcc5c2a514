// SPDX-License-Identifier: Apache-2.0
//
// The log. spdlog stands behind these functions and nowhere else; formats are fmt's. Thread-safe.
//
// Text that came from outside (keys, error documents, file names) may be logged as it is: control characters are
// escaped here, so that no key can forge a line. Secrets are never logged; credentials print redacted by themselves.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "s3overlay/result.h"

namespace s3overlay {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kOff };
enum class LogFormat { kText, kJson };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string file;        // Appended to; created 0600. Empty: standard error, or syslog.
  bool to_syslog = false;  // For a daemon in the background without a file.
};

// Call once, before threads start, in the process that will log. Until then: warnings and errors to standard error.
Result<void> StartLogging(const LogOptions& options);
void FlushLog();

Result<LogLevel> ParseLogLevel(std::string_view text);

// `text` with control characters and invalid bytes as \xNN; for messages that show names from outside.
std::string EscapeControlCharacters(std::string_view text);

namespace log {

bool IsEnabled(LogLevel level);
void Write(LogLevel level, fmt::string_view format, fmt::format_args args);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (IsEnabled(LogLevel::kDebug)) Write(LogLevel::kDebug, format, fmt::make_format_args(args...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(LogLevel::kInfo, format, fmt::make_format_args(args...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(LogLevel::kWarning, format, fmt::make_format_args(args...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(LogLevel::kError, format, fmt::make_format_args(args...));
}

}  // namespace log
}  // namespace s3overlay
