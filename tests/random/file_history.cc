// SPDX-License-Identifier: Apache-2.0
#include "random/file_history.h"

#include <algorithm>

namespace s3overlay::testing {

FileHistory::FileHistory() {
  MutexLock lock(mu_);
  states_.push_back({.number = kAbsent, .change_begin = RunTime::min(), .change_end = RunTime::min()});
}

void FileHistory::BeginChange(uint16_t number) {
  MutexLock lock(mu_);
  states_.push_back({.number = number, .change_begin = std::chrono::steady_clock::now(), .change_end = std::nullopt});
}

void FileHistory::EndChange() {
  MutexLock lock(mu_);
  states_.back().change_end = std::chrono::steady_clock::now();
}

uint16_t FileHistory::latest() const {
  MutexLock lock(mu_);
  return states_.back().number;
}

std::vector<uint16_t> FileHistory::PossibleIn(const TimeSpan& span) const {
  std::vector<uint16_t> numbers;
  MutexLock lock(mu_);
  for (size_t i = 0; i < states_.size(); ++i) {
    const bool is_last = i + 1 == states_.size();
    const auto over = is_last ? std::nullopt : states_[i + 1].change_end;
    if (states_[i].change_begin <= span.end && (!over || *over >= span.begin)) numbers.push_back(states_[i].number);
  }
  return numbers;
}

bool FileHistory::WasPossible(uint16_t number, const TimeSpan& span) const {
  const std::vector<uint16_t> numbers = PossibleIn(span);
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

bool FileHistory::MayHaveChangedIn(const TimeSpan& span) const {
  MutexLock lock(mu_);
  return std::any_of(states_.begin(), states_.end(), [&](const State& state) {
    return state.change_begin <= span.end && (!state.change_end || *state.change_end >= span.begin);
  });
}

}  // namespace s3overlay::testing
