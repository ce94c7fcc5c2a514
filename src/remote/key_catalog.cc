// SPDX-License-Identifier: Apache-2.0
#include "remote/key_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "remote/beside.h"

namespace s3overlay {
namespace {

constexpr int kPageKeys = 1000;  // S3's own limit.
constexpr int kProbeKeys = 16;   // More decide more names at once, and cost the store more.
constexpr Duration kShortestPause = std::chrono::seconds(10);  // Before a listing is gone on with.
constexpr Duration kSizeHolds = std::chrono::minutes(10);

// Nothing is wrong with the question or the answers; there was only no time, or no store, to go on.
bool IsInterruption(ErrorCode code) {
  return code == ErrorCode::kTimedOut || code == ErrorCode::kCancelled || code == ErrorCode::kUnavailable ||
         code == ErrorCode::kThrottled;
}

// The store has said of a name what it is, or that it is not there.
bool IsAnswer(const std::optional<Result<CatalogEntry>>& asked) {
  return asked && (*asked || asked->error().code == ErrorCode::kNotFound);
}

}  // namespace

KeyCatalog::KeyCatalog(KeyCatalogOptions options, ObjectStore& store, const Clock& clock, Metrics& metrics,
                       MetadataStore* memory)
    : options_(std::move(options)),
      mapping_(options_.prefix),
      scope_(fmt::format("{} {}/{}", store.url(), options_.bucket, mapping_.prefix())),
      store_(store),
      clock_(clock),
      metrics_(metrics),
      memory_(memory),
      cache_(options_.max_cached_bytes),
      finds_(clock),
      pages_(clock),
      listings_(clock),
      unfinished_(
          {.longest_pause = std::max(options_.metadata_ttl, kShortestPause), .max_bytes = options_.max_cached_bytes},
          clock),
      pool_({.name = "lookup", .threads = options_.threads, .queue_limit = 256}) {}

Result<CatalogEntry> KeyCatalog::Find(std::string_view path, const CallContext& context) {
  if (auto known = Known(path)) return *std::move(known);
  if (mapping_.ObjectKey(path).size() > kMaxKeyBytes) return NotThere(path);
  if (!context.may_block) return WouldBlock();
  const std::string asked(path);
  return finds_.Run(asked, context, [&] { return Ask(asked, context); });
}

Duration KeyCatalog::TtlLeft(TimePoint learned_at, Duration ttl) const {
  if (learned_at == TimePoint::min()) return Duration::zero();  // No difference to it is a Duration.
  return std::max(Duration::zero(), ttl - (clock_.Now() - learned_at));
}

// What a large directory lacks is believed as long as what it has: else each name that only another layer has would
// cost requests again and again, and no listing could prevent it. Unless absences are not to be remembered at all.
Duration KeyCatalog::TtlLeft(const PathVerdict& verdict) const {
  const bool by_listing = verdict.paged && options_.negative_ttl > Duration::zero();
  const Duration negative = by_listing ? std::max(options_.negative_ttl, options_.metadata_ttl) : options_.negative_ttl;
  return TtlLeft(verdict.learned_at, verdict.entry ? options_.metadata_ttl : negative);
}

std::optional<Result<CatalogEntry>> KeyCatalog::Known(std::string_view path) const {
  auto verdict = cache_.Find(path);
  if (verdict && TtlLeft(*verdict) > Duration::zero()) {
    if (verdict->entry) return *std::move(verdict->entry);
    return NotThere(path);
  }
  if (path.empty()) return std::nullopt;
  // Below what is not there, or is no directory, nothing has to be asked.
  const auto parent = Known(ParentPath(path));
  if (!parent) return std::nullopt;
  if (!*parent) return parent->error();
  if ((*parent)->is_directory()) return std::nullopt;
  return Error{ErrorCode::kNotADirectory, Describe(ParentPath(path)) + " is an object"};
}

// Of the path, or of a directory above it.
Duration KeyCatalog::AbsenceTtl(std::string_view path) const {
  for (; !path.empty(); path = ParentPath(path)) {
    const auto verdict = cache_.Find(path);
    if (verdict && !verdict->entry && TtlLeft(*verdict) > Duration::zero()) return TtlLeft(*verdict);
  }
  return Duration::zero();
}

Result<CatalogEntry> KeyCatalog::Ask(const std::string& path, const CallContext& context) {
  // Whoever asked before may just have learned it.
  if (auto known = Known(path)) return *std::move(known);
  if (path.empty()) {
    auto names = FetchPage(path, context);
    if (!names) return names.error();
    return Directory(path, (*names)->learned_at);
  }
  if (auto answer = AskByList(path, context)) return *std::move(answer);
  return AskByName(path, context);
}

std::optional<Result<CatalogEntry>> KeyCatalog::AskByList(const std::string& path, const CallContext& context) {
  const DirectorySize parent = SizeOf(ParentPath(path));
  std::optional<Result<CatalogEntry>> by_prefix;
  std::optional<Result<CatalogEntry>> by_page;
  std::atomic<bool> decided{false};
  const auto ask_by_prefix = [&] {
    if (!decided) by_prefix = AskByPrefix(path, context);  // Of a busy pool it may run when the page has come.
  };
  const auto ask_by_page = [&] {
    by_page = AskByPage(path, context);
    decided = IsAnswer(by_page);
  };
  if (parent == DirectorySize::kUnknown) {
    // Where the page does not decide the name, it would be a round trip lost.
    RunBeside(pool_, ask_by_prefix, ask_by_page);
  } else {
    if (parent == DirectorySize::kOnePage) ask_by_page();
    if (!IsAnswer(by_page)) ask_by_prefix();
  }
  if (!IsAnswer(by_page) && IsAnswer(by_prefix)) return by_prefix;
  return by_page ? std::move(by_page) : std::move(by_prefix);
}

// As it was lately; it will not have changed much.
KeyCatalog::DirectorySize KeyCatalog::SizeOf(std::string_view directory) const {
  const NamesPtr names = cache_.FindNames(directory);
  if (!names || TtlLeft(names->learned_at, kSizeHolds) == Duration::zero()) return DirectorySize::kUnknown;
  return names->paged ? DirectorySize::kLarge : DirectorySize::kOnePage;
}

// One page of the directory; nothing when that does not decide the name.
std::optional<Result<CatalogEntry>> KeyCatalog::AskByPage(const std::string& path, const CallContext& context) {
  const std::string parent(ParentPath(path));
  auto names = FetchPage(parent, context);
  if (!names && names.error().code == ErrorCode::kDenied) {
    // May be allowed to read and not to list: an empty page that decides nothing keeps us from trying each time.
    auto nothing = std::make_shared<DirectoryNames>();
    nothing->listing = CatalogListing::Builder().Build(clock_.Now());
    nothing->denied = nothing->paged = true;
    nothing->learned_at = clock_.Now();
    cache_.RememberNames(parent, std::move(nothing));
    return std::nullopt;
  }
  if (!names) return names.error();
  const std::string_view name = LastComponent(path);
  if (!(*names)->Decides(name)) return std::nullopt;
  if (auto entry = (*names)->Find(name)) return *std::move(entry);
  return NotThere(path);
}

// A list that begins at the name; nothing where keys such as "name-1" fill it before "name/" could have come.
std::optional<Result<CatalogEntry>> KeyCatalog::AskByPrefix(const std::string& path, const CallContext& context) {
  if (const NamesPtr names = cache_.FindNames(ParentPath(path)); names && names->denied) return std::nullopt;
  const TimePoint asked_at = clock_.Now();
  ListRequest request;
  request.bucket = options_.bucket;
  request.prefix = mapping_.ObjectKey(path);
  request.delimiter = "/";
  request.max_keys = kProbeKeys;
  auto page = store_.List(request, context);
  if (!page && page.error().code == ErrorCode::kDenied) return std::nullopt;
  if (!page) return page.error();
  const std::string directory = mapping_.DirectoryPrefix(path);
  const bool below = std::ranges::find(page->common_prefixes, directory) != page->common_prefixes.end();
  const bool passed = !page->truncated ||
                      std::ranges::any_of(page->common_prefixes, [&](const auto& p) { return p > directory; }) ||
                      std::ranges::any_of(page->objects, [&](const auto& o) { return o.id.key > directory; });
  if (!below && !passed) return std::nullopt;
  const auto object =
      std::ranges::find(page->objects, request.prefix, [](const auto& o) -> const std::string& { return o.id.key; });
  Result<ObjectMetadata> head = NotThere(path);
  if (object != page->objects.end()) head = std::move(*object);
  return Judge(path, std::move(head), below, asked_at);
}

Result<CatalogEntry> KeyCatalog::AskByName(const std::string& path, const CallContext& context) {
  const TimePoint asked_at = clock_.Now();
  Result<ObjectMetadata> head = Error{};
  Result<bool> below = Error{};
  RunBeside(pool_, [&] { head = HeadObject(path, context); }, [&] { below = HasKeysBelow(path, context); });
  return Judge(path, std::move(head), std::move(below), asked_at);
}

Result<ObjectMetadata> KeyCatalog::HeadObject(const std::string& path, const CallContext& context) {
  return store_.Head(options_.bucket, mapping_.ObjectKey(path), context);
}

Result<bool> KeyCatalog::HasKeysBelow(const std::string& path, const CallContext& context) {
  ListRequest request;
  request.bucket = options_.bucket;
  request.prefix = mapping_.DirectoryPrefix(path);
  request.delimiter = "/";
  request.max_keys = 1;
  auto page = store_.List(request, context);
  if (!page) return page.error();
  return !page->objects.empty() || !page->common_prefixes.empty();
}

// Absence takes two answers that say no.
Result<CatalogEntry> KeyCatalog::Judge(const std::string& path, Result<ObjectMetadata> head, Result<bool> below,
                                       TimePoint asked_at) {
  std::optional<CatalogEntry> entry;
  if (below && *below) {
    entry = Directory(path, asked_at);
    if (head) metrics_.Add(Metric::kKeysHidden);
  } else if (head && (below || below.error().code == ErrorCode::kDenied)) {
    entry = Directory(path, asked_at);
    entry->object = *std::move(head);
  } else if (!below) {
    return below.error();
  } else if (head.error().code != ErrorCode::kNotFound) {
    return head.error();
  }
  cache_.Remember(path, entry, asked_at);
  if (memory_ != nullptr && entry) memory_->KeepEntry(scope_, path, *entry);
  if (memory_ != nullptr && !entry) memory_->KeepAbsence(scope_, path, asked_at);
  if (!entry) return NotThere(path);
  return *std::move(entry);
}

Result<std::shared_ptr<const CatalogListing>> KeyCatalog::List(std::string_view path, const CallContext& context) {
  const std::string directory(path);
  NamesPtr names = cache_.FindComplete(path);
  const bool is_known = names && TtlLeft(names->learned_at, options_.metadata_ttl) > Duration::zero();
  if (!is_known) {
    if (const auto known = Known(path); known && !*known) return known->error();
    if (!context.may_block) return WouldBlock();
    auto fetched = listings_.Run(directory, context, [&] { return FetchAll(directory, context); });
    if (!fetched) return fetched.error();
    names = *std::move(fetched);
  }
  if (names->exists || path.empty()) return names->listing;
  const auto known = Known(path);
  if (known && *known && !(*known)->is_directory()) {
    return Error{ErrorCode::kNotADirectory, Describe(path) + " is an object"};
  }
  return NotThere(path);
}

Result<KeyCatalog::NamesPtr> KeyCatalog::FetchPage(const std::string& directory, const CallContext& context) {
  return pages_.Run(directory, context, [&]() -> Result<NamesPtr> {
    ListingWalk walk = BeginWalk(directory);
    S3OVERLAY_RETURN_IF_ERROR(walk.GoOn(store_, 1, context));
    return Keep(directory, walk.Build());
  });
}

// Where it takes longer than a call may, the next call goes on with it.
Result<KeyCatalog::NamesPtr> KeyCatalog::FetchAll(const std::string& directory, const CallContext& context) {
  auto unfinished = unfinished_.Take(directory);
  ListingWalk walk = unfinished ? *std::move(unfinished) : BeginWalk(directory);
  const Result<void> end = walk.GoOn(store_, ListingWalk::kAllPages, context);
  if (end) return Keep(directory, walk.Build());
  if (walk.pages() > 0 && IsInterruption(end.error().code)) unfinished_.Put(directory, std::move(walk));
  return end.error();
}

ListingWalk KeyCatalog::BeginWalk(const std::string& directory) {
  ListRequest request;
  request.bucket = options_.bucket;
  request.prefix = mapping_.DirectoryPrefix(directory);
  request.delimiter = "/";
  request.max_keys = kPageKeys;
  return {std::move(request), options_.page_timeout, clock_, metrics_};
}

KeyCatalog::NamesPtr KeyCatalog::Keep(const std::string& directory, DirectoryNames fetched) {
  unfinished_.DropOld();
  const auto names = std::make_shared<const DirectoryNames>(std::move(fetched));
  cache_.RememberNames(directory, names);
  const bool is_there = names->exists || directory.empty();
  if (memory_ != nullptr && names->complete && is_there) memory_->KeepListing(scope_, directory, names->listing);
  return names;
}

Result<std::optional<CatalogEntry>> KeyCatalog::LastKnown(std::string_view path) const {
  if (const auto verdict = cache_.Find(path)) {
    if (!verdict->entry || HasGoneSince(ParentPath(path), verdict->learned_at)) return std::optional<CatalogEntry>();
    return verdict->entry;
  }
  if (memory_ == nullptr) return std::optional<CatalogEntry>();
  auto kept = memory_->RecallEntry(scope_, path);
  if (!kept || !*kept) return kept;
  const bool counts = IsOurs(**kept, mapping_.ObjectKey(path)) && !HasGoneSince(ParentPath(path), (*kept)->learned_at);
  return counts ? kept : std::optional<CatalogEntry>();
}

std::shared_ptr<const CatalogListing> KeyCatalog::LastKnownListing(std::string_view path) const {
  if (const NamesPtr names = cache_.FindComplete(path)) {
    if (path.empty()) return names->listing;
    return names->exists && !HasGoneSince(path, names->learned_at) ? names->listing : nullptr;
  }
  if (memory_ == nullptr) return nullptr;
  std::shared_ptr<const CatalogListing> kept = memory_->RecallListing(scope_, path);
  if (kept != nullptr && HasGoneSince(path, kept->learned_at())) return nullptr;
  const std::string prefix = mapping_.DirectoryPrefix(path);
  for (size_t i = 0; kept != nullptr && i < kept->size(); ++i) {
    if (!IsOurs(kept->At(i), prefix + std::string(kept->NameAt(i)))) return nullptr;
  }
  return kept;
}

// A directory that went, or one above it, took along what was known of it and below. What was forgotten has no date.
bool KeyCatalog::HasGoneSince(std::string_view directory, TimePoint learned_at) const {
  if (learned_at == TimePoint::min()) return false;
  for (; !directory.empty(); directory = ParentPath(directory)) {
    const auto verdict = cache_.Find(directory);
    const bool is_there = !verdict || (verdict->entry && verdict->entry->is_directory());
    if (!is_there && verdict->learned_at > learned_at) return true;
  }
  return false;
}

// Of a file that was put together from several moments one name may tell of another one's object.
bool KeyCatalog::IsOurs(const CatalogEntry& kept, const std::string& key) const {
  return !kept.object || (kept.object->id.key == key && kept.object->id.bucket == options_.bucket);
}

// As in Known: what is not there, or is no directory, also speaks for what would be below it.
std::optional<TimePoint> KeyCatalog::LearnedAt(std::string_view path) const {
  if (const auto verdict = cache_.Find(path)) {
    if (verdict->learned_at != TimePoint::min()) return verdict->learned_at;
    return std::nullopt;
  }
  return path.empty() ? std::nullopt : LearnedAt(ParentPath(path));
}

void KeyCatalog::Forget(std::string_view path) { cache_.Forget(path); }

std::string KeyCatalog::Describe(std::string_view path) const {
  return fmt::format("s3://{}/{}", options_.bucket, mapping_.ObjectKey(path));
}

Error KeyCatalog::WouldBlock() const {
  return {.code = ErrorCode::kWouldBlock, .message = "the store has to be asked", .lane = options_.lane};
}

Error KeyCatalog::NotThere(std::string_view path) const {
  return {.code = ErrorCode::kNotFound, .message = Describe(path) + " does not exist"};
}

CatalogEntry KeyCatalog::Directory(std::string_view path, TimePoint learned_at) const {
  return {.name = std::string(LastComponent(path)), .object = std::nullopt, .learned_at = learned_at};
}

}  // namespace s3overlay
