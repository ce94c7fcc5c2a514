// SPDX-License-Identifier: Apache-2.0
#include "random/history_judge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace s3overlay::testing {
namespace {

// An open that meets a name in its change is refused once and then looks again; a name that goes on changing may reach
// the program as ESTALE. How long the mount remembers that it refused.
constexpr std::chrono::seconds kRefusalIsRemembered{11};

constexpr std::chrono::milliseconds kNamesHave{4900};

Verdict Dishonest(int error, std::string_view why) { return fmt::format("{}, {}", ::strerrorname_np(error), why); }

}  // namespace

HistoryJudge::HistoryJudge(const FilePlan& plan, const World& world, HistoryJudgeOptions options)
    : plan_(plan), world_(world), options_(options) {}

void HistoryJudge::SetEpisode(Episode::Kind kind) {
  const uint64_t before = episode_.load();
  episode_ = before - before % Episode::kKinds + Episode::kKinds + kind;
}

TimeSpan HistoryJudge::Window(const Attempt& attempt) const {
  if (attempt.episode.kind() != Episode::kCalm) return {.begin = RunTime::min(), .end = attempt.time.end};
  return {.begin = attempt.time.begin - options_.ttl - options_.slack, .end = attempt.time.end};
}

bool HistoryJudge::MayBeAbsent(uint16_t path, const Attempt& attempt) const {
  const TimeSpan recently{.begin = attempt.time.begin - options_.ttl - options_.slack, .end = attempt.time.end};
  return world_.ObjectOf(path).WasPossible(kAbsent, recently) && world_.LocalOf(path).WasPossible(kAbsent, recently);
}

std::string HistoryJudge::DescribePossible(uint16_t path, const Attempt& attempt) const {
  const TimeSpan window = Window(attempt);
  return fmt::format("in that time the object may have been version {} and the local file version {} (0: absent)",
                     fmt::join(world_.ObjectOf(path).PossibleIn(window), " "),
                     fmt::join(world_.LocalOf(path).PossibleIn(window), " "));
}

Verdict HistoryJudge::OnOpenError(uint16_t path, int error, const Attempt& attempt) const {
  if (!IsHonest(error)) return Dishonest(error, "which is no honest error");
  if (attempt.episode.kind() == Episode::kDown) return std::nullopt;
  if (error == ENOENT && !MayBeAbsent(path, attempt)) {
    return Dishonest(error, "and it was there: " + DescribePossible(path, attempt));
  }
  if (attempt.episode.kind() != Episode::kCalm || !options_.calm_is_strict || error == ENOENT) return std::nullopt;
  const TimeSpan lately{.begin = attempt.time.begin - kRefusalIsRemembered, .end = attempt.time.end};
  const bool flaps = world_.ObjectOf(path).MayHaveChangedIn(lately) || world_.LocalOf(path).MayHaveChangedIn(lately);
  if (error == ESTALE && flaps) return std::nullopt;
  // Names have 5 seconds, whatever the options say: a machine that has no time for us is no fault of the mount.
  if (error == ETIMEDOUT && attempt.time.end - attempt.time.begin > kNamesHave) return std::nullopt;
  return Dishonest(error, "and nothing was wrong with the store");
}

Verdict HistoryJudge::OnOpened(const Version& version, const Attempt& attempt) const {
  const FileHistory& history = version.local ? world_.LocalOf(version.path) : world_.ObjectOf(version.path);
  const TimeSpan window = Window(attempt);
  if (!history.WasPossible(version.number, window)) {
    return fmt::format("{} was opened; {}", Describe(version), DescribePossible(version.path, attempt));
  }
  const bool hides_object = version.local && attempt.episode.kind() == Episode::kCalm &&
                            !world_.ObjectOf(version.path).WasPossible(kAbsent, window);
  if (hides_object) return "the local file was opened, and the object was there";
  return std::nullopt;
}

Verdict HistoryJudge::OnStatus(uint16_t path, uint64_t size, const Attempt& attempt) const {
  const TimeSpan window = Window(attempt);
  const bool is_rough = attempt.episode.kind() != Episode::kCalm;
  bool may_be_local = is_rough;
  for (const uint16_t number : world_.ObjectOf(path).PossibleIn(window)) {
    if (number == kAbsent) may_be_local = true;
    if (number != kAbsent && plan_.SizeOf({.path = path, .number = number}) == size) return std::nullopt;
  }
  const std::vector<uint16_t> locals = world_.LocalOf(path).PossibleIn(window);
  const bool fits_local = std::any_of(locals.begin(), locals.end(), [&](uint16_t number) {
    return number != kAbsent && plan_.SizeOf({.path = path, .number = number, .local = true}) == size;
  });
  if (may_be_local && fits_local) return std::nullopt;
  return fmt::format("stat says {} bytes; {}", size, DescribePossible(path, attempt));
}

bool HistoryJudge::MustBeThere(uint16_t path, const Attempt& attempt) const {
  const TimeSpan window = Window(attempt);
  return !world_.ObjectOf(path).WasPossible(kAbsent, window) || !world_.LocalOf(path).WasPossible(kAbsent, window);
}

bool HistoryJudge::CannotBeThere(uint16_t path, const Attempt& attempt) const {
  const TimeSpan window = Window(attempt);
  const std::vector<uint16_t> nothing = {kAbsent};
  return world_.ObjectOf(path).PossibleIn(window) == nothing && world_.LocalOf(path).PossibleIn(window) == nothing;
}

Verdict HistoryJudge::OnListed(const std::string& directory, const std::vector<std::string>& names,
                               const Attempt& attempt) const {
  if (attempt.episode.kind() != Episode::kCalm) return std::nullopt;
  for (uint16_t path = 0; path < plan_.count(); ++path) {
    if (plan_.DirectoryOf(path) != directory) continue;
    const bool is_listed = std::binary_search(names.begin(), names.end(), plan_.NameOf(path));
    if (is_listed ? !CannotBeThere(path, attempt) : !MustBeThere(path, attempt)) continue;
    return fmt::format("the listing of /{} {} {}; {}", directory, is_listed ? "has" : "lacks", plan_.NameOf(path),
                       DescribePossible(path, attempt));
  }
  return std::nullopt;
}

// The local directories are always there.
Verdict HistoryJudge::OnListError(const std::string& directory, int error, const Attempt& attempt) const {
  if (!IsHonest(error)) return Dishonest(error, "which is no honest error");
  const bool is_down = attempt.episode.kind() == Episode::kDown;
  const bool must_work = attempt.episode.kind() == Episode::kCalm && options_.calm_is_strict;
  if (is_down || (!must_work && error != ENOENT)) return std::nullopt;
  return Dishonest(error, fmt::format("and the directory /{} is there", directory));
}

Verdict HistoryJudge::OnReadError(const HandleCheck& handle, int error, const Attempt& opened,
                                  const Attempt& attempt) const {
  if (!IsHonest(error)) return Dishonest(error, "which is no honest error");
  const bool is_calm = attempt.episode.kind() == Episode::kCalm && opened.episode == attempt.episode;
  if (!is_calm || !options_.calm_is_strict) return std::nullopt;
  // The version may be gone; a handle that has shown no byte may be of the one before.
  const TimeSpan life{.begin = Window(opened).begin, .end = attempt.time.end};
  const bool is_local = handle.version() && handle.version()->local;
  if (!is_local && world_.ObjectOf(handle.path()).PossibleIn(life).size() > 1) return std::nullopt;
  return Dishonest(error, "and nothing was wrong with the store, nor did the object change since it was opened");
}

}  // namespace s3overlay::testing
