// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/log.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <memory>

#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

constexpr std::array<std::string_view, 6> kLevelNames = {"trace", "debug", "info", "warning", "error", "off"};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::info;
}

// spdlog keeps its default logger for the process; before StartLogging it would write to standard output.
std::shared_ptr<spdlog::logger> MakeLogger(spdlog::sink_ptr sink, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("s3overlay", std::move(sink));
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::warn);
  return logger;
}

struct Current {
  std::shared_ptr<spdlog::logger> logger =
      MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), LogLevel::kWarning);
  LogFormat format = LogFormat::kText;
};

// The one process-wide object of the house, for the one thing that is process-wide by nature.
Current& GetCurrent() {
  static Current* const current = new Current;  // Never destroyed: threads may log while the process ends.
  return *current;
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

}  // namespace

Result<LogLevel> ParseLogLevel(std::string_view text) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (text == kLevelNames[i]) return static_cast<LogLevel>(i);
  }
  if (text == "warn") return LogLevel::kWarning;
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = fmt::format("log level '{}' is none of trace, debug, info, warning, error, off", text)};
}

std::string EscapeControlCharacters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

Result<void> StartLogging(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (!options.file.empty()) {
    // Made here with its mode, as spdlog would make it by the umask.
    const UniqueFd fd(::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!fd.is_open()) return SystemError(errno, fmt::format("open log file {}", options.file));
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
  } else if (options.to_syslog) {
    sink = std::make_shared<spdlog::sinks::syslog_sink_mt>("s3overlay", LOG_PID, LOG_DAEMON, false);
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  Current& current = GetCurrent();
  current.logger = MakeLogger(std::move(sink), options.level);
  current.format = options.format;
  if (options.format == LogFormat::kJson) current.logger->set_pattern("%v");
  return {};
}

void FlushLog() { GetCurrent().logger->flush(); }

namespace log {

bool IsEnabled(LogLevel level) { return GetCurrent().logger->should_log(ToSpdlog(level)); }

void Write(LogLevel level, fmt::string_view format, fmt::format_args args) {
  Current& current = GetCurrent();
  const auto spdlog_level = ToSpdlog(level);
  if (!current.logger->should_log(spdlog_level)) return;
  std::string text = EscapeControlCharacters(fmt::vformat(format, args));
  if (current.format == LogFormat::kJson) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    text = fmt::format(R"({{"time_s":{:.6f},"level":"{}","message":{}}})", std::chrono::duration<double>(now).count(),
                       kLevelNames[static_cast<size_t>(level)], JsonString(text));
  }
  current.logger->log(spdlog_level, spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace log
}  // namespace s3overlay
