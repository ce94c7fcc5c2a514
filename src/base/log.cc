// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/log.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>

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

// Bytes of the character at the front of `text`; 0 where it is a control character (C1 ones too: terminals obey them)
// or no UTF-8 (RFC 3629: nothing overlong, no surrogates, nothing above U+10FFFF).
size_t PrintableSize(std::string_view text) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  uint32_t code = first & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0xa0, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  return code < kLeast[size] || code > 0x10ffff || is_surrogate ? 0 : size;
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

// Made with exactly its mode, as spdlog would make it by the umask. One that is there already keeps its own.
Result<void> MakePrivateFile(const std::string& path) {
  const UniqueFd made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (made.is_open() && ::fchmod(made.get(), 0600) == 0) return {};
  const UniqueFd there(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!there.is_open()) return SystemError(errno, fmt::format("open log file {}", path));
  return {};
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
  while (!text.empty()) {
    const size_t size = PrintableSize(text);
    if (size == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

Result<void> StartLogging(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (!options.file.empty()) {
    S3OVERLAY_RETURN_IF_ERROR(MakePrivateFile(options.file));
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

namespace {

void WriteOrThrow(LogLevel level, fmt::string_view format, fmt::format_args args) {
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

}  // namespace

// A line that finds no memory is lost: those who tell of a lack of memory must not fail by it.
void Write(LogLevel level, fmt::string_view format, fmt::format_args args) {
  try {
    WriteOrThrow(level, format, args);
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace log
}  // namespace s3overlay
