// SPDX-License-Identifier: Apache-2.0
#include "remote/directory_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

constexpr size_t kMostNames = 10'000'000;  // About a gigabyte. Against a store that makes up names for ever.

}  // namespace

bool DirectoryNames::Decides(std::string_view name) const { return complete || std::string(name) + '/' <= passed; }

std::optional<CatalogEntry> DirectoryNames::Find(std::string_view name) const {
  const std::optional<size_t> at = listing->Find(name);
  if (!at) return std::nullopt;
  return listing->At(*at);
}

NamesBuilder::NamesBuilder(std::string directory_prefix, TimePoint learned_at, Metrics& metrics)
    : prefix_(std::move(directory_prefix)), learned_at_(learned_at), metrics_(metrics) {}

Result<void> NamesBuilder::Add(const ListPage& page) {
  const bool had_names = exists_;
  const std::string passed_before = passed_;
  for (const ObjectMetadata& object : page.objects) S3OVERLAY_RETURN_IF_ERROR(AddObject(object));
  for (const std::string& prefix : page.common_prefixes) S3OVERLAY_RETURN_IF_ERROR(AddPrefix(prefix));
  S3OVERLAY_RETURN_IF_ERROR(CheckProgress(page, had_names, passed_before));
  complete_ = !page.truncated;
  ++pages_;
  return {};
}

Result<void> NamesBuilder::CheckProgress(const ListPage& page, bool had_names, const std::string& passed_before) {
  if (listing_.size() > kMostNames) {
    return Error{ErrorCode::kBadResponse,
                 fmt::format("\"{}\" has more than {} names: too many for one directory", prefix_, kMostNames)};
  }
  const bool has_names = !page.objects.empty() || !page.common_prefixes.empty();
  if (page.truncated && had_names && has_names && passed_ == passed_before) {
    return Error{ErrorCode::kBadResponse, fmt::format("the listing of \"{}\" does not go on", prefix_)};
  }
  return {};
}

Result<void> NamesBuilder::AddObject(const ObjectMetadata& object) {
  auto name = NameIn(object.id.key);
  if (!name) return name.error();
  // The key "dir/" marks the directory itself.
  if (!name->empty()) Keep(*name, &object);
  return {};
}

Result<void> NamesBuilder::AddPrefix(const std::string& common_prefix) {
  auto name = NameIn(common_prefix);
  if (!name) return name.error();
  if (name->ends_with('/')) name->remove_suffix(1);
  Keep(*name, nullptr);
  return {};
}

// What follows the directory's prefix.
Result<std::string_view> NamesBuilder::NameIn(std::string_view key) {
  if (!key.starts_with(prefix_)) {
    return Error{ErrorCode::kBadResponse, fmt::format("a listing of \"{}\" holds the key \"{}\"", prefix_, key)};
  }
  exists_ = true;
  const std::string_view name = key.substr(prefix_.size());
  if (name > passed_) passed_ = name;
  return name;
}

void NamesBuilder::Keep(std::string_view name, const ObjectMetadata* object) {
  if (!IsShowableName(name)) {
    metrics_.Add(Metric::kKeysHidden);
    return;
  }
  listing_.Add(name, object);
}

DirectoryNames NamesBuilder::Build() {
  // Where a name is both, the directory wins.
  metrics_.Add(Metric::kKeysHidden, listing_.SortAndHide());
  DirectoryNames names{.listing = nullptr,
                       .complete = complete_,
                       .exists = exists_,
                       .denied = false,
                       .paged = !complete_ || pages_ > 1,
                       .passed = passed_,
                       .learned_at = learned_at_};
  if (!complete_) listing_.EraseIf([&](std::string_view name) { return !names.Decides(name); });
  names.listing = listing_.Build(learned_at_);
  return names;
}

}  // namespace s3overlay
