// SPDX-License-Identifier: Apache-2.0
#include "random/weather.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "s3overlay/unique_fd.h"
#include "support/temp_dir.h"

namespace s3overlay::testing {
namespace {

using std::chrono::milliseconds;

// Each of these changes an answer so that it must be refused, or delivers less of it.
void LieAboutRange(HttpMessage& answer) {
  if (answer.Status() == 206) answer.Set("Content-Range", "bytes 0-99/100");
}

void ShiftRange(HttpMessage& answer) {
  const std::string* const range = answer.Find("Content-Range");
  if (range == nullptr) return;
  const size_t dash = range->find('-');
  const size_t slash = range->find('/');
  if (dash == std::string::npos || slash == std::string::npos || range->size() < 7) return;
  const uint64_t first = std::strtoull(range->c_str() + 6, nullptr, 10);
  const uint64_t last = std::strtoull(range->c_str() + dash + 1, nullptr, 10);
  answer.Set("Content-Range", fmt::format("bytes {}-{}{}", first + 8, last + 8, range->substr(slash)));
}

void ChangeEtag(HttpMessage& answer) {
  if (answer.Status() == 206) answer.Set("ETag", "\"0123456789abcdef0123456789abcdef\"");
}

void ShortenBody(HttpMessage& answer) {
  if (answer.Status() == 206) answer.body.resize(answer.body.size() / 2);
}

// The headers of the bytes, and a document in their place.
void PutDocument(HttpMessage& answer) {
  if (answer.Status() != 206) return;
  answer.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code></Error>";
}

// The same with a good status, as some proxies answer.
void PutDocumentAsWhole(HttpMessage& answer) {
  if (answer.Status() != 206) return;
  PutDocument(answer);
  answer.start_line = "HTTP/1.1 200 OK";
  answer.Remove("Content-Range");
}

void CutDocument(HttpMessage& answer) {
  if (answer.body.starts_with("<?xml")) answer.body.resize(answer.body.size() / 2);
}

// Names of the objects that the index of a cache calls complete, from a copy: to open it would change it. Everything
// counts as complete where it cannot be read.
std::optional<std::set<std::string>> CompleteObjects(const std::filesystem::path& cache) {
  const TempDir copy;
  for (const char* const name : {"index.sqlite", "index.sqlite-wal"}) {
    std::error_code ignored;
    std::filesystem::copy_file(cache / name, copy / name, ignored);
  }
  sqlite3* opened = nullptr;
  const int failed = ::sqlite3_open_v2((copy / "index.sqlite").c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(opened, ::sqlite3_close);
  if (failed != SQLITE_OK) return std::nullopt;
  std::set<std::string> names;
  const auto add = [](void* set, int, char** values, char**) {
    static_cast<std::set<std::string>*>(set)->insert(values[0]);
    return 0;
  };
  constexpr char kQuery[] = "SELECT name FROM objects WHERE complete = 1 OR lent = 1";
  if (::sqlite3_exec(opened, kQuery, add, &names, nullptr) != SQLITE_OK) return std::nullopt;
  return names;
}

// What was lent says so, whatever the index knows of it.
bool WasLent(const std::filesystem::path& file) {
  return ::getxattr(file.c_str(), "user.s3overlay.lent", nullptr, 0) >= 0;
}

void TurnBytes(const std::filesystem::path& file, uint64_t offset) {
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  std::array<char, 64> bytes{};
  const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (got <= 0) return;
  for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x5a);
  (void)!::pwrite(fd.get(), bytes.data(), static_cast<size_t>(got), static_cast<off_t>(offset));
}

std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    if (entry.is_regular_file(ignored)) files.push_back(entry.path());
  }
  return files;
}

}  // namespace

Weather::Weather(FaultProxy& proxy, Sandbox& sandbox, Findings& findings, std::mt19937_64& random)
    : proxy_(proxy), sandbox_(sandbox), findings_(findings), random_(random) {}

void Weather::Blow() {
  if (Below(8) == 0) {
    const std::array<FaultProxy::Store, 3> ways = {FaultProxy::Store::kRefused, FaultProxy::Store::kHangsUp,
                                                   FaultProxy::Store::kSilent};
    const size_t way = Below(ways.size());
    findings_.NoteAll("weather", fmt::format("the store is away, way {}", way));
    proxy_.SetStore(ways.at(way));
  } else {
    for (uint64_t rules = 1 + Below(4); rules > 0; --rules) proxy_.AddRule(RandomRule());
  }
  std::this_thread::sleep_for(milliseconds(Below(4) == 0 ? Below(2500) : Below(600)));
  Clear();
  std::this_thread::sleep_for(milliseconds(Below(400)));
  proxy_.Release();  // What met the fault just before its end.
}

void Weather::Clear() {
  proxy_.ClearRules();
  proxy_.SetStore(FaultProxy::Store::kUp);
  proxy_.Release();
  findings_.NoteAll("weather", "fair");
}

FaultRule Weather::RandomRule() {
  const std::array<const char*, 4> operations = {"GET", "GET", "", "LIST"};
  FaultRule rule{.operation = operations.at(Below(operations.size())), .fault = RandomFault()};
  // The first rule that matches is the one: mostly it is used up soon, and the next one has its turn.
  if (Below(4) != 0) rule.count = static_cast<int>(1 + Below(8));
  return rule;
}

Fault Weather::RandomFault() {
  using Rewrite = void (*)(HttpMessage&);
  struct NamedRewrite {
    const char* name;
    Rewrite rewrite;
  };
  constexpr std::array<NamedRewrite, 7> kRewrites = {{{"a wrong range", LieAboutRange},
                                                      {"a shifted range", ShiftRange},
                                                      {"another ETag", ChangeEtag},
                                                      {"a short body", ShortenBody},
                                                      {"a document for data", PutDocument},
                                                      {"a document as the whole object", PutDocumentAsWhole},
                                                      {"a listing cut short", CutDocument}}};
  const std::array<std::pair<const char*, const char*>, 5> answers = {
      {{"503 Slow Down", "SlowDown"},
       {"500 Internal Server Error", "InternalError"},
       {"503 Service Unavailable", "ServiceUnavailable"},
       {"429 Too Many Requests", "TooManyRequests"},
       {"403 Forbidden", "AccessDenied"}}};
  Fault fault;
  const uint64_t dice = Below(10);
  if (dice < 5) {
    const NamedRewrite& rewrite = kRewrites.at(Below(kRewrites.size()));
    findings_.NoteAll("weather", rewrite.name);
    fault.rewrite = rewrite.rewrite;
  } else if (dice < 6) {
    const auto& [status, code] = answers.at(Below(answers.size()));
    findings_.NoteAll("weather", status);
    fault.answer = S3ErrorAnswer(status, code);
  } else if (dice < 8) {
    fault.cut_after = Below(400'000);
    fault.reset = Below(2) == 0;
    findings_.NoteAll("weather", fmt::format("cut after {}{}", *fault.cut_after, fault.reset ? " by RST" : ""));
  } else if (dice < 9) {
    fault.stall_after = Below(400'000);
    findings_.NoteAll("weather", fmt::format("stalled after {}", *fault.stall_after));
  } else {
    fault.delay = milliseconds(Below(900));
    findings_.NoteAll("weather", fmt::format("{} ms late", fault.delay.count()));
  }
  return fault;
}

void Weather::DisturbCache() {
  const uint64_t dice = Below(10);
  if (dice < 7) {
    findings_.NoteAll("weather", "the kernel's caches are dropped");
    std::ofstream("/proc/sys/vm/drop_caches") << 1 + Below(3);
  } else if (dice < 9) {
    findings_.NoteAll("weather", "cache clear");
    sandbox_.Run({"cache", "clear", "--cache-dir", sandbox_.cache()});
  } else {
    findings_.NoteAll("weather", "the cache is removed");
    std::error_code ignored;
    std::filesystem::remove_all(sandbox_.cache(), ignored);
  }
}

void Weather::DamageCache() {
  const auto complete = CompleteObjects(sandbox_.cache());
  if (!complete) return;
  for (const std::filesystem::path& file : FilesBelow(sandbox_.cache() + "/data")) {
    if (WasLent(file) || complete->contains(file.stem()) || Below(2) == 0) continue;
    findings_.NoteAll("weather", "damages " + file.filename().string());
    for (int spots = 0; spots < 8; ++spots) TurnBytes(file, Below(std::filesystem::file_size(file) + 1));
  }
}

}  // namespace s3overlay::testing
