// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "s3overlay/object_catalog.h"

namespace s3overlay {

CatalogEntry CatalogListing::At(size_t index) const {
  const Record& record = records_[index];
  CatalogEntry entry{.name = std::string(NameOf(record)), .object = std::nullopt, .learned_at = learned_at_};
  if ((record.flags & kDirectory) == 0) entry.object = ObjectOf(record);
  return entry;
}

ObjectMetadata CatalogListing::ObjectOf(const Record& record) const {
  if (record.odd != 0) return odd_[record.odd - 1];
  const std::string_view name = NameOf(record);
  const WallTime last_modified{Duration(record.last_modified_ns)};
  ObjectMetadata object;
  object.id.store = store_;
  object.id.bucket = bucket_;
  object.id.key.reserve(key_prefix_.size() + name.size());
  object.id.key.append(key_prefix_).append(name);
  object.id.etag = std::string_view(text_).substr(record.text + record.name_size, record.etag_size);
  object.id.size = record.size;
  object.id.last_modified = object.last_modified = last_modified;
  object.storage_class = storage_classes_[record.flags & kStorageClass];
  object.archived = (record.flags & kArchived) != 0;
  return object;
}

std::optional<size_t> CatalogListing::Find(std::string_view name) const {
  const auto at = std::ranges::lower_bound(records_, name, {}, [&](const Record& r) { return NameOf(r); });
  if (at == records_.end() || NameOf(*at) != name) return std::nullopt;
  return static_cast<size_t>(at - records_.begin());
}

uint64_t CatalogListing::bytes() const {
  constexpr uint64_t kOddBytes = 512;
  return sizeof(*this) + text_.capacity() + records_.capacity() * sizeof(Record) + odd_.capacity() * kOddBytes;
}

void CatalogListing::Builder::Add(std::string_view name, const ObjectMetadata* object) {
  Record record;
  record.text = listing_.text_.size();
  record.name_size = static_cast<uint16_t>(std::min<size_t>(name.size(), std::numeric_limits<uint16_t>::max()));
  listing_.text_.append(name.substr(0, record.name_size));
  if (object == nullptr) {
    record.flags = kDirectory;
  } else if (!Pack(*object, name, &record)) {
    record.size = object->id.size;
    record.flags = object->archived ? kArchived : 0;
    listing_.odd_.push_back(*object);
    record.odd = static_cast<uint32_t>(listing_.odd_.size());
  }
  listing_.records_.push_back(record);
}

// False for an object that has something of its own: it is kept whole.
bool CatalogListing::Builder::Pack(const ObjectMetadata& object, std::string_view name, Record* record) {
  const ObjectId& id = object.id;
  if (!id.key.ends_with(name) || !id.version_id.empty() || id.last_modified != object.last_modified) return false;
  const std::string_view prefix = std::string_view(id.key).substr(0, id.key.size() - name.size());
  if (listing_.storage_classes_.empty()) {
    listing_.store_ = id.store;
    listing_.bucket_ = id.bucket;
    listing_.key_prefix_ = prefix;
  }
  const bool fits = id.store == listing_.store_ && id.bucket == listing_.bucket_ && prefix == listing_.key_prefix_ &&
                    id.etag.size() <= std::numeric_limits<uint8_t>::max();
  const std::optional<uint8_t> storage_class = fits ? StorageClass(object.storage_class) : std::nullopt;
  if (!storage_class) return false;
  record->size = id.size;
  record->last_modified_ns = object.last_modified.time_since_epoch().count();
  record->etag_size = static_cast<uint8_t>(id.etag.size());
  record->flags = static_cast<uint8_t>(*storage_class | (object.archived ? kArchived : 0));
  listing_.text_.append(id.etag);
  return true;
}

std::optional<uint8_t> CatalogListing::Builder::StorageClass(const std::string& name) {
  auto& known = listing_.storage_classes_;
  const auto at = std::ranges::find(known, name);
  const auto index = static_cast<size_t>(at - known.begin());
  if (index > kStorageClass) return std::nullopt;
  if (at == known.end()) known.push_back(name);
  return static_cast<uint8_t>(index);
}

size_t CatalogListing::Builder::SortAndHide() {
  auto& records = listing_.records_;
  const auto name = [&](const Record& r) { return listing_.NameOf(r); };
  const auto before = [&](const Record& a, const Record& b) {
    if (const int order = name(a).compare(name(b)); order != 0) return order < 0;
    const bool a_is_directory = (a.flags & kDirectory) != 0;
    const bool b_is_directory = (b.flags & kDirectory) != 0;
    return a_is_directory != b_is_directory ? a_is_directory : a.text < b.text;
  };
  // Most listings come in order.
  if (!std::ranges::is_sorted(records, before)) std::ranges::sort(records, before);
  const auto rest = std::ranges::unique(records, {}, name);
  const size_t hidden = rest.size();
  records.erase(rest.begin(), rest.end());
  return hidden;
}

void CatalogListing::Builder::EraseIf(const std::function<bool(std::string_view name)>& drop) {
  std::erase_if(listing_.records_, [&](const Record& r) { return drop(listing_.NameOf(r)); });
}

std::shared_ptr<const CatalogListing> CatalogListing::Builder::Build(TimePoint learned_at) {
  listing_.learned_at_ = learned_at;
  listing_.text_.shrink_to_fit();
  listing_.records_.shrink_to_fit();
  return std::make_shared<const CatalogListing>(std::move(listing_));
}

}  // namespace s3overlay
