// SPDX-License-Identifier: Apache-2.0
#include "random/reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <thread>
#include <utility>

namespace s3overlay::testing {
namespace {

using std::chrono::steady_clock;

constexpr size_t kPage = 4096;
constexpr size_t kMostFiles = 5;
constexpr size_t kMostMappings = 3;
constexpr size_t kMostOfMapping = 4 << 20;  // Bytes that are read of one at once.
constexpr uint64_t kSmallestPassed = (1 << 20) + 1;
constexpr double kLongestOperation = 120;  // Seconds. Far beyond every time-out of the mount: it hangs.

std::string ErrorName(int error) { return error == 0 ? "ok" : ::strerrorname_np(error); }

// What the file says of itself; nothing where it cannot be asked.
std::optional<std::string> Says(int fd, const char* attribute) {
  std::array<char, 4096> value{};
  const ssize_t size = ::fgetxattr(fd, attribute, value.data(), value.size());
  if (size <= 0) return std::nullopt;
  return std::string(value.data(), static_cast<size_t>(size));
}

std::optional<bool> SaysLocal(int fd) {
  const auto source = Says(fd, "user.s3overlay.source");
  if (!source) return std::nullopt;
  return !source->starts_with("s3://");
}

}  // namespace

Reader::Reader(const ReaderSetting& setting, std::string name, uint64_t seed)
    : setting_(setting), name_(std::move(name)), random_(seed) {}

void Reader::Step() {
  const uint64_t dice = Below(100);
  if (files_.empty() || dice < 24) return Open();
  if (dice < 74) return Read();
  if (dice < 87 && !setting_.may_map) return Read();
  if (dice < 81) return Map();
  if (dice < 87) return ReadMapping();
  if (dice < 90) return Status();
  if (dice < 91) return List();
  if (dice < 95) return CheckFacts();
  if (dice < 97) return Reopen();
  DropPages();
}

std::string Reader::AbsolutePath(uint16_t path) const { return setting_.mountpoint + "/" + setting_.plan.PathOf(path); }

Attempt Reader::Begin() const {
  return {.episode = setting_.judge.episode(), .time = {.begin = steady_clock::now(), .end = {}}};
}

void Reader::End(Attempt& attempt) const {
  attempt.time.end = steady_clock::now();
  if (setting_.judge.episode() != attempt.episode) attempt.episode = {};
}

void Reader::Note(uint16_t path, std::string_view what) { setting_.findings.Note(path, name_, what); }

bool Reader::Report(uint16_t path, const Verdict& verdict) {
  if (verdict) setting_.findings.Report(path, name_, *verdict);
  return !verdict;
}

void Reader::Open() {
  const auto path = static_cast<uint16_t>(Below(setting_.plan.count()));
  const bool is_direct = Below(8) == 0;
  Attempt attempt = Begin();
  UniqueFd fd(::open(AbsolutePath(path).c_str(), O_RDONLY | O_CLOEXEC | (is_direct ? O_DIRECT : 0)));
  const int error = fd.is_open() ? 0 : errno;
  End(attempt);
  ++(error == 0 ? tally_.opens : tally_.failed_opens);
  if (error == 0) return Adopt(path, std::move(fd), is_direct, attempt);
  Note(path, fmt::format("open: {}", ErrorName(error)));
  Report(path, setting_.judge.OnOpenError(path, error, attempt));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // Nothing may be mounted.
}

// By the descriptor of a file that is open: the kernel cannot look its name up again.
void Reader::Reopen() {
  const OpenFile& file = files_.at(Below(files_.size()));
  const uint16_t path = file.check.path();
  Attempt attempt = Begin();
  UniqueFd fd(::open(fmt::format("/proc/self/fd/{}", file.fd.get()).c_str(), O_RDONLY | O_CLOEXEC));
  Note(path, fmt::format("open of h{}'s descriptor: {}", file.number, fd.is_open() ? "ok" : ErrorName(errno)));
  End(attempt);
  attempt.episode = {};  // Either its own version or the current one.
  if (fd.is_open()) Adopt(path, std::move(fd), false, attempt);
}

void Reader::Adopt(uint16_t path, UniqueFd fd, bool is_direct, const Attempt& opened) {
  if (files_.size() >= kMostFiles) files_.erase(files_.begin() + static_cast<ptrdiff_t>(Below(files_.size())));
  OpenFile file{.fd = std::move(fd),
                .check = HandleCheck(setting_.plan, path),
                .opened = opened,
                .number = ++handles_opened_,
                .is_direct = is_direct,
                .pattern = static_cast<Pattern>(Below(kPatterns))};
  if (!LearnFacts(file)) return;
  file.tally = TallyOf(file);
  if (file.pattern == Pattern::kBackward) file.position = file.size;
  if (file.pattern == Pattern::kStrided) file.position = Below(4 * kPage);
  files_.push_back(std::move(file));
}

// Size and source, as the handle itself tells them. False where they are wrong.
bool Reader::LearnFacts(OpenFile& file) {
  const uint16_t path = file.check.path();
  struct stat status{};
  const bool has_size = ::fstat(file.fd.get(), &status) == 0;
  const std::optional<bool> is_local = SaysLocal(file.fd.get());
  Note(path, fmt::format("h{} has {} bytes{}, and says it is {}", file.number, has_size ? status.st_size : -1,
                         file.is_direct ? ", O_DIRECT" : "",
                         !is_local   ? "nothing"
                         : *is_local ? "local"
                                     : "the object"));
  if (has_size) {
    file.size = static_cast<uint64_t>(status.st_size);
    if (!Report(path, file.check.OnSize(file.size))) return false;
  }
  return !is_local || Report(path, file.check.OnSource(*is_local));
}

uint64_t Reader::Tally::* Reader::TallyOf(const OpenFile& file) const {
  const bool is_object = !SaysLocal(file.fd.get()).value_or(true);
  const bool is_whole = Says(file.fd.get(), "user.s3overlay.cached") == std::to_string(file.size);
  if (!is_object || !is_whole || file.size < kSmallestPassed) return nullptr;
  return setting_.passes_through ? &Tally::reads_of_passed : &Tally::reads_of_whole;
}

void Reader::CheckFacts() { LearnFacts(files_.at(Below(files_.size()))); }

void Reader::Read() {
  const size_t which = Below(files_.size());
  bool is_well = true;
  for (uint64_t left = 1 + Below(6); left > 0 && is_well; --left) is_well = ReadOnce(files_.at(which));
  // What has failed goes on failing, mostly.
  if (!is_well && Below(3) == 0) files_.erase(files_.begin() + static_cast<ptrdiff_t>(which));
}

// False where it failed, honestly or not.
bool Reader::ReadOnce(OpenFile& file) {
  Range range = NextRange(file);
  auto way = static_cast<ReadWay>(Below(setting_.may_map ? kReadWays : kReadWaysWithoutMap));
  if (file.is_direct) {
    range = {range.offset / kPage * kPage, (range.size + kPage - 1) / kPage * kPage};
    way = ReadWay::kPread;
  }
  Attempt attempt = Begin();
  const Reading reading = ReadBytes(file.fd.get(), range.offset, range.size, way, file.size);
  End(attempt);
  Note(file.check.path(), fmt::format("h{} {} {}+{}: {} bytes, {}", file.number, NameOf(way), range.offset, range.size,
                                      reading.bytes.size(), reading.at_end ? "the end" : ErrorName(reading.error)));
  // Handles that go past the page cache cannot be mapped shared everywhere (before libfuse 3.17).
  const bool is_refused = way == ReadWay::kMmapShared && reading.error == ENODEV;
  if (!is_refused) CheckReading(file, reading, range.offset, attempt);
  if (file.tally != nullptr && !reading.bytes.empty()) ++(tally_.*file.tally);
  return reading.error == 0;
}

size_t Reader::RandomSize() {
  switch (Below(6)) {
    case 0: return 1 + Below(200);
    case 1: return kPage;
    case 2: return 1 + Below(64 << 10);
    case 3: return (128 << 10) - 1 + Below(3);
    case 4: return 1 + Below(512 << 10);
    default: return 1 + Below(2 << 20);
  }
}

Reader::Range Reader::NextRange(OpenFile& file) {
  const size_t size = RandomSize();
  const uint64_t last = std::max<uint64_t>(file.size, 1);
  switch (file.pattern) {
    case Pattern::kSequential: {
      if (file.position >= file.size) file.position = 0;
      return {std::exchange(file.position, file.position + size), size};
    }
    case Pattern::kBackward: {
      if (file.position == 0) file.position = file.size;
      file.position -= std::min<uint64_t>(file.position, size);
      return {file.position, size};
    }
    case Pattern::kStrided: {
      file.position = (file.position + 3 * (128 << 10) + 17) % last;
      return {file.position, std::min<size_t>(size, 16 << 10)};
    }
    case Pattern::kTailFirst: {
      if (!std::exchange(file.saw_tail, true)) return {file.size - std::min<uint64_t>(file.size, 64 << 10), 64 << 10};
      break;
    }
    case Pattern::kRandom: break;
  }
  return {Below(last + last / 16 + 1), size};
}

template <typename Handle>
bool Reader::CheckReading(Handle& handle, const Reading& reading, uint64_t offset, const Attempt& attempt) {
  HandleCheck& check = handle.check;
  const uint16_t path = check.path();
  tally_.bytes += reading.bytes.size();
  ++(reading.error == 0 ? tally_.reads : tally_.failed_reads);
  if (!Report(path, check.OnBytes(offset, reading.bytes))) return false;
  if (reading.at_end && !Report(path, check.OnEnd(offset + reading.bytes.size()))) return false;
  if (check.version() && !std::exchange(handle.is_judged, true) &&
      !Report(path, setting_.judge.OnOpened(*check.version(), handle.opened))) {
    return false;
  }
  const std::chrono::duration<double> took = attempt.time.end - attempt.time.begin;
  if (took.count() > kLongestOperation) Report(path, fmt::format("a read took {:.1f} s", took.count()));
  return reading.error == 0 || Report(path, setting_.judge.OnReadError(check, reading.error, handle.opened, attempt));
}

// open; mmap; close: the mapping stays.
void Reader::Map() {
  const size_t which = Below(files_.size());
  OpenFile& file = files_.at(which);
  const bool is_shared = Below(2) == 0;
  Mapping mapping(file.fd.get(), file.size, is_shared);
  if (!mapping.is_valid()) return;
  const bool closes = Below(2) == 0;
  Note(file.check.path(),
       fmt::format("h{} mapped {}{}", file.number, is_shared ? "shared" : "private", closes ? " and closed" : ""));
  if (mappings_.size() >= kMostMappings) mappings_.erase(mappings_.begin());
  mappings_.push_back({.mapping = std::move(mapping),
                       .check = file.check,
                       .opened = file.opened,
                       .number = file.number,
                       .is_judged = file.is_judged});
  if (closes) files_.erase(files_.begin() + static_cast<ptrdiff_t>(which));
}

void Reader::ReadMapping() {
  if (mappings_.empty()) return Map();
  OpenMapping& open = mappings_.at(Below(mappings_.size()));
  if (Below(2) == 0) open.mapping.DropPages();
  const uint64_t offset = Below(open.mapping.size());
  const size_t size = std::min<uint64_t>(open.mapping.size() - offset, kMostOfMapping);
  Attempt attempt = Begin();
  const Reading reading = open.mapping.Read(offset, size);
  End(attempt);
  Note(open.check.path(), fmt::format("mapping of h{} {}+{}: {} bytes, {}", open.number, offset, size,
                                      reading.bytes.size(), reading.by_signal ? "SIGBUS" : "ok"));
  CheckReading(open, reading, offset, attempt);
}

void Reader::Status() {
  const auto path = static_cast<uint16_t>(Below(setting_.plan.count()));
  struct stat status{};
  Attempt attempt = Begin();
  const int error = ::stat(AbsolutePath(path).c_str(), &status) == 0 ? 0 : errno;
  End(attempt);
  Note(path, fmt::format("stat: {}, {} bytes", ErrorName(error), error == 0 ? status.st_size : -1));
  Report(path, error != 0 ? setting_.judge.OnOpenError(path, error, attempt)
                          : setting_.judge.OnStatus(path, static_cast<uint64_t>(status.st_size), attempt));
}

// The directory of a random path.
void Reader::List() {
  const auto path = static_cast<uint16_t>(Below(setting_.plan.count()));
  const std::string directory = setting_.plan.DirectoryOf(path);
  Attempt attempt = Begin();
  const DirectoryReading listed = ReadNames(setting_.mountpoint + "/" + directory);
  End(attempt);
  Note(path, fmt::format("list /{}: {} names, {}", directory, listed.names.size(), ErrorName(listed.error)));
  Report(path, listed.error != 0 ? setting_.judge.OnListError(directory, listed.error, attempt)
                                 : setting_.judge.OnListed(directory, listed.names, attempt));
}

// The kernel lets go of what it keeps of that file, so that the daemon is asked again.
void Reader::DropPages() { ::posix_fadvise(files_.at(Below(files_.size())).fd.get(), 0, 0, POSIX_FADV_DONTNEED); }

}  // namespace s3overlay::testing
