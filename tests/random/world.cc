// SPDX-License-Identifier: Apache-2.0
#include "random/world.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

namespace s3overlay::testing {
namespace {

constexpr uint64_t kLargeSize = 8 << 20;  // Such objects are written seldom.
constexpr double kSlow = 2;               // Seconds: worth a note, where something timed out.

}  // namespace

World::World(const FilePlan& plan, Places places, Findings& findings)
    : plan_(plan), places_(std::move(places)), findings_(findings) {
  for (uint16_t path = 0; path < plan.count(); ++path) {
    files_.emplace_back();
    std::filesystem::create_directories((places_.local / plan.PathOf(path)).parent_path());
  }
}

void World::Populate(std::mt19937_64& random) {
  for (uint16_t path = 0; path < plan_.count(); ++path) {
    if (random() % 8 != 0) SetObject(path, ++files_[path].newest_object);
    if (random() % 5 < 3) SetLocal(path, ++files_[path].newest_local);
  }
}

void World::Change(std::mt19937_64& random) {
  const auto path = static_cast<uint16_t>(random() % plan_.count());
  File& file = files_[path];
  const uint64_t dice = random() % 100;
  if (dice < 20) return SetLocal(path, dice < 6 ? kAbsent : ++file.newest_local);
  if (dice < 32) return SetObject(path, kAbsent);
  // What was there before comes back: the same key, the same ETag.
  const bool is_back = dice < 40 && file.newest_object > 1;
  const uint16_t number = is_back ? file.newest_object - 1 : file.newest_object + 1;
  const bool is_large = plan_.SizeOf({.path = path, .number = number}) > kLargeSize;
  if (is_large && random() % 4 != 0) return;
  if (!is_back) file.newest_object = number;
  SetObject(path, number);
}

void World::SetObject(uint16_t path, uint16_t number) {
  FileHistory& history = files_[path].object;
  if (history.latest() == number) return;
  const std::string key = places_.prefix + "/" + plan_.PathOf(path);
  const Version version{.path = path, .number = number};
  findings_.Note(path, "store", number == kAbsent ? "deletes the object" : "gets " + Describe(version));
  const std::string content = number == kAbsent ? "" : plan_.ContentOf(version);
  const auto begin = std::chrono::steady_clock::now();
  history.BeginChange(number);
  if (number == kAbsent) places_.bucket.Delete(key);
  if (number != kAbsent) places_.bucket.Put(key, content);
  history.EndChange();
  findings_.Note(path, "store", "has done so");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (took.count() > kSlow) findings_.NoteAll("store", fmt::format("took {:.1f} s to change an object", took.count()));
}

// A live file is not pinned: it is replaced as a whole, never written into.
void World::SetLocal(uint16_t path, uint16_t number) {
  FileHistory& history = files_[path].local;
  if (history.latest() == number) return;
  const std::filesystem::path file = places_.local / plan_.PathOf(path);
  const std::filesystem::path fresh = places_.local / ".fresh";
  const Version version{.path = path, .number = number, .local = true};
  if (number != kAbsent) std::ofstream(fresh, std::ios::binary) << plan_.ContentOf(version);
  findings_.Note(path, "local", number == kAbsent ? "the file goes" : Describe(version) + " comes");
  history.BeginChange(number);
  if (number == kAbsent) std::filesystem::remove(file);
  if (number != kAbsent) std::filesystem::rename(fresh, file);
  history.EndChange();
}

}  // namespace s3overlay::testing
