// SPDX-License-Identifier: Apache-2.0
#include "remote/object_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "remote/key_mapping.h"
#include "remote/object_reader.h"
#include "remote/pinned_object.h"

namespace s3overlay {
namespace {

// How long an answer holds that was given because the store is away.
constexpr Duration kOutageTtl = std::chrono::seconds(1);

struct ObjectOrigin final : EntryOrigin {
  explicit ObjectOrigin(ObjectMetadata found) : object(std::move(found)) {}
  const ObjectMetadata object;
};

// Null for directories and for entries of other sources.
const ObjectMetadata* ObjectOf(const Entry& entry) {
  const auto* origin = dynamic_cast<const ObjectOrigin*>(entry.origin.get());
  return origin == nullptr ? nullptr : &origin->object;
}

void FillObject(Entry& entry, ObjectMetadata object) {
  entry.attributes = {.type = FileType::kRegular,
                      .size = object.id.size,
                      .allocated = object.id.size,
                      .mtime = object.last_modified,
                      .mode = std::nullopt};
  entry.version = VersionOf(object.id);
  entry.etag = object.id.etag;
  entry.readable = !object.archived;
  if (object.archived) entry.reason = fmt::format("archived ({}): it has to be restored first", object.storage_class);
  entry.origin = std::make_shared<ObjectOrigin>(std::move(object));
}

}  // namespace

// A catalog's listing as files.
class ObjectSource::NamesListing final : public Listing {
 public:
  NamesListing(const ObjectSource& source, std::string_view path, std::shared_ptr<const CatalogListing> names,
               ListingTerms terms)
      : Listing(std::move(terms)),
        source_(source),
        prefix_(path.empty() ? "" : std::string(path) + "/"),
        names_(std::move(names)) {}

  Duration ttl() const override { return terms().degraded ? kOutageTtl : source_.TtlLeft(names_->learned_at()); }
  size_t size() const override { return names_->size(); }
  std::string_view NameAt(size_t index) const override { return names_->NameAt(index); }
  FileType TypeAt(size_t index) const override {
    return names_->IsDirectoryAt(index) ? FileType::kDirectory : FileType::kRegular;
  }
  Entry EntryAt(size_t index) const override {
    CatalogEntry found = names_->At(index);
    std::string path = prefix_ + found.name;
    Entry entry = source_.MakeEntry(std::move(path), std::move(found));
    // While the store is away it is at the lookup that a later layer may stand in.
    if (source_.store_.IsAway()) entry.ttl = Duration::zero();
    return entry;
  }

 private:
  const ObjectSource& source_;
  const std::string prefix_;
  const std::shared_ptr<const CatalogListing> names_;
};

ObjectSource::ObjectSource(ObjectSourceOptions options, ObjectCatalog& catalog, ObjectStore& store,
                           BlockFetcher& fetcher, BlockCache* cache, const Clock& clock)
    : options_(std::move(options)),
      catalog_(catalog),
      store_(store),
      fetcher_(fetcher),
      cache_(cache),
      clock_(clock),
      neighbours_({}, catalog, store, fetcher) {}

CallContext ObjectSource::Limited(const CallContext& context) const {
  CallContext limited = context;
  limited.max_retries = std::min(context.max_retries, options_.max_retries);
  return limited;
}

Result<Entry> ObjectSource::Lookup(std::string_view path, const CallContext& context) {
  auto found = catalog_.Find(path, Limited(context));
  if (!found) return StaleOr(path, found.error());
  // What is known within its time may be opened all the same; but bytes that are not cached cannot be had now, and it
  // is at the lookup that a later layer may stand in, never at a read.
  const bool is_object = found->object.has_value();
  Entry entry = MakeEntry(std::string(path), *std::move(found));
  if (!store_.IsAway()) return entry;
  Error away{ErrorCode::kUnavailable, fmt::format("store {} is taken to be away", store_.url())};
  if (is_object) return StaleOr(path, std::move(away));
  entry.state = FileState::kStale;
  entry.reason = std::move(away.message);
  entry.ttl = std::min(entry.ttl, kOutageTtl);
  return entry;
}

// What was last known, where the store is away and all of it is cached.
Result<Entry> ObjectSource::StaleOr(std::string_view path, Error error) const {
  if (!IsOutage(error.code)) return error;
  const auto recalled = LastKnown(path);
  if (!recalled || !*recalled) return error;
  std::optional<Entry> known = *recalled;
  if (known->attributes.type != FileType::kRegular || !known->readable) return error;
  if (!GetCacheShare(*known).complete) return error;
  known->state = FileState::kStale;
  known->reason = fmt::format("{}: {}", ErrorCodeName(error.code), error.message);
  known->ttl = kOutageTtl;
  return *std::move(known);
}

Result<ListingPtr> ObjectSource::List(std::string_view path, const CallContext& context) {
  auto listing = catalog_.List(path, Limited(context));
  if (listing) {
    return ListingPtr(std::make_shared<NamesListing>(*this, path, *std::move(listing), ListingTerms{}));
  }
  if (!IsOutage(listing.error().code)) return listing.error();
  auto known = catalog_.LastKnownListing(path);
  if (!known) return listing.error();
  ListingTerms terms{.degraded = true,
                     .reason = fmt::format("{}: {}", ErrorCodeName(listing.error().code), listing.error().message)};
  return ListingPtr(std::make_shared<NamesListing>(*this, path, std::move(known), std::move(terms)));
}

Entry ObjectSource::MakeEntry(std::string path, CatalogEntry found) const {
  Entry entry;
  entry.attributes.type = FileType::kDirectory;
  entry.source = catalog_.Describe(path);
  entry.path = std::move(path);
  entry.immutable = true;
  entry.ttl = TtlLeft(found.learned_at);
  if (found.object) FillObject(entry, *std::move(found.object));
  return entry;
}

Duration ObjectSource::TtlLeft(TimePoint learned_at) const {
  // What was forgotten or recalled may be dated at the beginning of time: no difference to that is a Duration.
  if (learned_at == TimePoint::min()) return Duration::zero();
  return std::max(Duration::zero(), options_.metadata_ttl - (clock_.Now() - learned_at));
}

Result<std::string> ObjectSource::ReadLink(std::string_view path, const CallContext&) {
  return Error{ErrorCode::kInvalidArgument, catalog_.Describe(path) + " is no symbolic link"};
}

Result<std::shared_ptr<OpenFile>> ObjectSource::Open(const Entry& entry, const CallContext& context) {
  if (entry.attributes.type == FileType::kDirectory) return Error{ErrorCode::kIsADirectory, entry.source};
  const ObjectMetadata* const object = ObjectOf(entry);
  if (object == nullptr) return Error{ErrorCode::kInvalidArgument, entry.source + " is no object of this source"};
  if (object->archived) return Error{ErrorCode::kArchived, entry.source + " is " + entry.reason};
  if (IsSuperseded(entry, context)) return Error{ErrorCode::kVersionGone, entry.source + " has changed since"};
  neighbours_.OnOpen(entry.path, object->id.size);
  auto pinned = std::make_shared<PinnedObject>(object->id, store_);
  const ObjectReaderTools tools{
      .catalog = catalog_, .fetcher = fetcher_, .cache = cache_, .clock = clock_, .lane = options_.lane};
  return std::shared_ptr<OpenFile>(std::make_shared<ObjectReader>(entry, std::move(pinned), tools));
}

// Whether the catalog knows by now, without asking, that the name means something else.
bool ObjectSource::IsSuperseded(const Entry& entry, const CallContext& context) const {
  CallContext at_once = context;
  at_once.may_block = false;
  const auto found = catalog_.Find(entry.path, at_once);
  if (!found && found.error().code == ErrorCode::kNotFound) return true;
  const auto known = found ? std::optional(*found) : catalog_.LastKnown(entry.path);
  if (!known || !*known) return false;
  return (*known)->is_directory() || VersionOf((*known)->object->id) != entry.version;
}

Result<std::optional<Entry>> ObjectSource::LastKnown(std::string_view path) const {
  auto known = catalog_.LastKnown(path);
  if (!known) return known.error();
  if (!*known) return std::optional<Entry>();
  return std::optional(MakeEntry(std::string(path), **std::move(known)));
}

std::optional<Duration> ObjectSource::AnswerAge(std::string_view path) const {
  const auto learned_at = catalog_.LearnedAt(path);
  if (!learned_at) return std::nullopt;
  return clock_.Now() - *learned_at;
}

CacheShare ObjectSource::GetCacheShare(const Entry& entry) const {
  const ObjectMetadata* const object = ObjectOf(entry);
  if (object == nullptr) return {};
  if (object->id.size == 0) return {.bytes = 0, .complete = true};
  return cache_ == nullptr ? CacheShare{} : cache_->GetShare(CacheIdOf(object->id));
}

Result<std::vector<std::string>> ObjectSource::ListXattr(const Entry&) { return std::vector<std::string>(); }

Result<std::string> ObjectSource::GetXattr(const Entry& entry, const std::string& name) {
  return Error{ErrorCode::kNotFound, fmt::format("{} has no attribute {}", entry.source, name)};
}

std::optional<FileSystemSpace> ObjectSource::GetSpace() const { return std::nullopt; }

std::string ObjectSource::Describe() const { return options_.spec; }

}  // namespace s3overlay
