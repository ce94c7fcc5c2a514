// SPDX-License-Identifier: Apache-2.0
#include "remote/directory_readahead.h"

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

constexpr size_t kPercent = 100;
constexpr double kEnoughToJudge = 16;  // Files that chance would have had opened by now.
constexpr double kFairShare = 0.25;    // Of them, as many must have been.
constexpr size_t kMostNeeded = 64;

}  // namespace

DirectoryReadahead::DirectoryReadahead(size_t files, DirectoryReadaheadOptions options)
    : options_(options), files_(files, File::kUnknown) {}

std::vector<size_t> DirectoryReadahead::OnOpen(size_t position, size_t most) {
  if (position >= files_.size()) return {};
  const bool in_order = Follows(position);
  const File before = std::exchange(files_[position], File::kOpened);
  const size_t unopened = files_.size() - opened_;
  if (before != File::kOpened) ++opened_;
  if (!in_order && before != File::kOpened) {
    expected_hits_ += static_cast<double>(named_) / static_cast<double>(std::max<size_t>(1, unopened));
    Judge(before == File::kNamed);
  }
  if (before == File::kNamed) --named_;
  last_ = position;
  if (in_order) return NameNext(position, most);
  if (window_ > 0) needed_ = std::min(2 * needed_, kMostNeeded);
  run_ = 1;
  window_ = 0;
  return NameOthers(most);
}

bool DirectoryReadahead::Follows(size_t position) const {
  return last_ != SIZE_MAX && position > last_ && position - last_ <= options_.max_skip + 1;
}

std::vector<size_t> DirectoryReadahead::NameNext(size_t position, size_t most) {
  if (++run_ < needed_) return {};
  if (window_ == 0) {
    window_ = options_.first_window;
    grow_at_ = position + window_ / 2;
  } else if (position >= grow_at_) {
    window_ = std::min(2 * window_, options_.max_window);
    grow_at_ = position + window_ / 2;
  }
  std::vector<size_t> named;
  const size_t end = std::min(files_.size(), position + 1 + std::min(window_, most));
  for (size_t next = position + 1; next < end; ++next) Name(next, named);
  return named;
}

std::vector<size_t> DirectoryReadahead::NameOthers(size_t most) {
  if (shuffled_off_ || opened_ < std::max(options_.shuffled_from, files_.size() / kPercent)) return {};
  std::vector<size_t> named;
  while (cursor_ < files_.size() && named.size() < options_.per_open && named_ < most &&
         named_in_all_ < options_.per_opened * opened_) {
    if (Name(cursor_++, named)) ++named_in_all_;
  }
  return named;
}

// A reader who wants all of them comes to those that were named as often as to the others.
void DirectoryReadahead::Judge(bool was_named) {
  if (was_named) ++hits_;
  if (expected_hits_ >= kEnoughToJudge && static_cast<double>(hits_) < kFairShare * expected_hits_) {
    shuffled_off_ = true;
  }
}

bool DirectoryReadahead::Name(size_t position, std::vector<size_t>& named) {
  if (files_[position] != File::kUnknown) return false;
  files_[position] = File::kNamed;
  ++named_;
  named.push_back(position);
  return true;
}

void DirectoryReadahead::OnRefused(size_t position) {
  if (position >= files_.size() || files_[position] != File::kNamed) return;
  files_[position] = File::kUnknown;
  --named_;
  cursor_ = std::min(cursor_, position);
}

}  // namespace s3overlay
