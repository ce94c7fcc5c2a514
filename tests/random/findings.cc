// SPDX-License-Identifier: Apache-2.0
#include "random/findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace s3overlay::testing {
namespace {

constexpr size_t kKeptLines = 80;
constexpr size_t kKeptFindings = 3;

}  // namespace

Findings::Findings(const FilePlan& plan) : plan_(plan), start_(std::chrono::steady_clock::now()), logs_(plan.count()) {}

std::string Findings::Line(std::string_view who, std::string_view what) const {
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - start_;
  return fmt::format("{:9.3f} {:<9} {}", age.count(), who, what);
}

void Findings::Append(uint16_t path, std::string line) {
  std::deque<std::string>& log = logs_.at(path);
  log.push_back(std::move(line));
  if (log.size() > kKeptLines) log.pop_front();
}

void Findings::Note(uint16_t path, std::string_view who, std::string_view what) {
  std::string line = Line(who, what);
  MutexLock lock(mu_);
  Append(path, std::move(line));
}

void Findings::NoteAll(std::string_view who, std::string_view what) {
  const std::string line = Line(who, "-- " + std::string(what));
  MutexLock lock(mu_);
  for (uint16_t path = 0; path < plan_.count(); ++path) Append(path, line);
}

void Findings::Report(uint16_t path, std::string_view who, std::string_view what) {
  const std::string line = Line(who, what);
  MutexLock lock(mu_);
  if (found_.size() >= kKeptFindings) return;
  found_.push_back(fmt::format("{}: {}\nthe last operations on it:\n{}\n", plan_.PathOf(path), line,
                               fmt::join(logs_.at(path), "\n")));
}

void Findings::Report(std::string_view what) {
  MutexLock lock(mu_);
  if (found_.size() < kKeptFindings) found_.push_back(std::string(what) + "\n");
}

bool Findings::any() const {
  MutexLock lock(mu_);
  return !found_.empty();
}

std::string Findings::text() const {
  MutexLock lock(mu_);
  return fmt::format("{}", fmt::join(found_, "\n"));
}

}  // namespace s3overlay::testing
