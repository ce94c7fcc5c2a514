// SPDX-License-Identifier: Apache-2.0
#include "config/environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>

#include "config/values.h"
#include "credentials/environment_source.h"
#include "s3overlay/unique_fd.h"

extern char** environ;  // environ(7)

namespace s3overlay {
namespace {

constexpr size_t kMaxFileSize = size_t{1} << 20;

Error Unreadable(const std::string& path, int sys_errno) {
  return Error{ErrorCode::kInvalidArgument, SystemError(sys_errno, "cannot read " + path).message};
}

bool IsName(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// Nothing but a comment may follow a closing quote.
bool IsEndOfLine(std::string_view rest) {
  rest = TrimSpace(rest);
  return rest.empty() || rest.starts_with('#');
}

std::optional<std::string> ParseSingleQuoted(std::string_view text) {
  const size_t end = text.find('\'', 1);
  if (end == std::string_view::npos || !IsEndOfLine(text.substr(end + 1))) return std::nullopt;
  return std::string(text.substr(1, end - 1));
}

std::optional<std::string> ParseDoubleQuoted(std::string_view text) {
  constexpr std::string_view kEscapable = "\"\\$`";
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      if (!IsEndOfLine(text.substr(i + 1))) return std::nullopt;
      return value;
    }
    const bool escapes = text[i] == '\\' && i + 1 < text.size() && kEscapable.find(text[i + 1]) != kEscapable.npos;
    if (escapes) ++i;
    value += text[i];
  }
  return std::nullopt;
}

std::optional<std::string> ParseValue(std::string_view text) {
  if (text.starts_with('\'')) return ParseSingleQuoted(text);
  if (text.starts_with('"')) return ParseDoubleQuoted(text);
  if (text.starts_with('#')) return "";
  return std::string(TrimSpace(text.substr(0, std::min(text.find(" #"), text.find("\t#")))));
}

// False for a line that is no assignment.
bool ParseLine(std::string_view line, Environment& environment) {
  line = TrimSpace(line);
  if (line.empty() || line.starts_with('#')) return true;
  constexpr std::string_view kExport = "export";
  if (line.starts_with(kExport) && line.size() > kExport.size() && (line[6] == ' ' || line[6] == '\t')) {
    line = TrimSpace(line.substr(kExport.size()));
  }
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos || !IsName(line.substr(0, equals))) return false;
  std::optional<std::string> value = ParseValue(TrimSpace(line.substr(equals + 1)));
  if (!value) return false;
  environment[std::string(line.substr(0, equals))] = *std::move(value);
  return true;
}

// Of every family of credentials.
std::set<std::string> KeyVariables() {
  std::set<std::string> names;
  for (const EnvironmentFamily& family : {OvhFamily(), AwsFamily()}) {
    names.insert({family.access_key, family.secret_key, family.session_token});
  }
  names.erase("");  // A family without session tokens.
  return names;
}

}  // namespace

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<Environment> ParseEnvFile(std::string_view text, std::string_view name) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Environment environment;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (!ParseLine(text.substr(0, end), environment)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: this is no line of the form NAME=value (quotes closed, nothing after them)",
                               name, number)};
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return environment;
}

Result<Environment> ReadEnvFile(const std::string& path) {
  Result<std::string> text = ReadTextFile(path);
  if (!text) return text.error();
  return ParseEnvFile(*text, path);
}

Environment MergeEnvFile(Environment process, const Environment& file) {
  const std::set<std::string> keys = KeyVariables();
  const bool has_keys =
      std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return !ValueOf(process, key).empty(); });
  for (const auto& [name, value] : file) {
    if (has_keys && keys.contains(name)) continue;
    std::string& there = process[name];
    if (there.empty()) there = value;
  }
  return process;
}

std::string ValueOf(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

Result<std::string> ReadTextFile(const std::string& path) {
  // O_NONBLOCK: a FIFO without a writer reads as empty instead of keeping us waiting.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) return Unreadable(path, errno);
  struct stat attributes{};
  if (::fstat(fd.get(), &attributes) != 0) return Unreadable(path, errno);
  if (S_ISDIR(attributes.st_mode)) return Unreadable(path, EISDIR);
  std::string text;
  std::array<char, 16384> buffer;
  while (text.size() <= kMaxFileSize) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Unreadable(path, errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return Error{ErrorCode::kInvalidArgument, fmt::format("{} is larger than 1 MiB: this is no text of settings", path)};
}

}  // namespace s3overlay
