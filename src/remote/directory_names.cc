// SPDX-License-Identifier: Apache-2.0
#include "remote/directory_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace s3overlay {

bool DirectoryNames::Decides(std::string_view name) const { return complete || std::string(name) + '/' <= passed; }

const CatalogEntry* DirectoryNames::Find(std::string_view name) const {
  const auto& entries = listing->entries;
  const auto at =
      std::ranges::lower_bound(entries, name, {}, [](const CatalogEntry& e) -> std::string_view { return e.name; });
  return at != entries.end() && at->name == name ? &*at : nullptr;
}

NamesBuilder::NamesBuilder(std::string directory_prefix, TimePoint learned_at, Metrics& metrics)
    : prefix_(std::move(directory_prefix)),
      learned_at_(learned_at),
      metrics_(metrics),
      listing_(std::make_shared<CatalogListing>()) {
  listing_->learned_at = learned_at;
}

Result<void> NamesBuilder::Add(const ListPage& page) {
  for (const ObjectMetadata& object : page.objects) S3OVERLAY_RETURN_IF_ERROR(AddObject(object));
  for (const std::string& prefix : page.common_prefixes) S3OVERLAY_RETURN_IF_ERROR(AddPrefix(prefix));
  complete_ = !page.truncated;
  return {};
}

Result<void> NamesBuilder::AddObject(const ObjectMetadata& object) {
  auto name = NameIn(object.id.key);
  if (!name) return name.error();
  // The key "dir/" marks the directory itself.
  if (!name->empty()) Keep(*name, object);
  return {};
}

Result<void> NamesBuilder::AddPrefix(const std::string& common_prefix) {
  auto name = NameIn(common_prefix);
  if (!name) return name.error();
  if (name->ends_with('/')) name->remove_suffix(1);
  Keep(*name, std::nullopt);
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

void NamesBuilder::Keep(std::string_view name, std::optional<ObjectMetadata> object) {
  if (!IsShowableName(name)) {
    metrics_.Add(Metric::kKeysHidden);
    return;
  }
  listing_->entries.push_back({.name = std::string(name), .object = std::move(object), .learned_at = learned_at_});
}

// Where a name is both, the directory comes first and wins.
void NamesBuilder::DropHidden(std::vector<CatalogEntry>& entries) {
  std::ranges::sort(entries, [](const CatalogEntry& a, const CatalogEntry& b) {
    return a.name != b.name ? a.name < b.name : a.is_directory() > b.is_directory();
  });
  const auto rest = std::ranges::unique(entries, {}, &CatalogEntry::name);
  metrics_.Add(Metric::kKeysHidden, static_cast<uint64_t>(rest.size()));
  entries.erase(rest.begin(), rest.end());
}

DirectoryNames NamesBuilder::Build() {
  DropHidden(listing_->entries);
  DirectoryNames names{
      .listing = nullptr, .complete = complete_, .exists = exists_, .passed = passed_, .learned_at = learned_at_};
  if (!complete_) std::erase_if(listing_->entries, [&](const CatalogEntry& e) { return !names.Decides(e.name); });
  names.listing = std::move(listing_);
  return names;
}

}  // namespace s3overlay
