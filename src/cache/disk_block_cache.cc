// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_block_cache.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxBlockSize = uint64_t{64} << 20;
constexpr uint64_t kMaxUnitBytes = uint64_t{1} << 20;
constexpr uint64_t kWantedUnits = 65536;

// Small caches evict block by block; large ones up to 1 MiB at once, so that the memory of the policy stays small.
uint64_t UnitBlocks(const DiskBlockCacheOptions& options) {
  const uint64_t bytes = std::min(options.size_limit / kWantedUnits, kMaxUnitBytes);
  return std::bit_floor(std::max<uint64_t>(1, bytes / options.block_size));
}

}  // namespace

Result<std::unique_ptr<DiskBlockCache>> DiskBlockCache::Open(DiskBlockCacheOptions options, const Clock& clock,
                                                             Metrics& metrics) {
  if (options.block_size == 0 || options.block_size % kPage != 0 || options.block_size > kMaxBlockSize) {
    return Error{
        .code = ErrorCode::kInvalidArgument,
        .message = fmt::format("cache block size {} is not a multiple of 4 KiB up to 64 MiB", options.block_size)};
  }
  while (options.dir.size() > 1 && options.dir.ends_with('/')) options.dir.pop_back();
  std::unique_ptr<DiskBlockCache> cache(new DiskBlockCache(std::move(options), clock, metrics));
  S3OVERLAY_RETURN_IF_ERROR(cache->Start());
  return cache;
}

DiskBlockCache::DiskBlockCache(DiskBlockCacheOptions options, const Clock& clock, Metrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      faults_(clock, metrics),
      table_({.block_size = options_.block_size,
              .unit_blocks = UnitBlocks(options_),
              .max_open_files = options_.max_open_files},
             clock),
      storage_({.dir = options_.dir,
                .owner = options_.owner,
                .limits = {.size_limit = options_.size_limit, .min_free = options_.min_free},
                .block_size = options_.block_size,
                .max_objects = options_.max_objects,
                .must_fit = options_.must_fit},
               table_, clock, metrics, faults_),
      waiter_({.on_overdue =
                   [this] { faults_.Note({.code = ErrorCode::kTimedOut, .message = "the disk does not answer"}); }}),
      reader_(options_.dir, table_, waiter_, faults_),
      checker_({.name = "cache-checker", .threads = 1, .queue_limit = 4096}) {}

Result<void> DiskBlockCache::Start() {
  S3OVERLAY_RETURN_IF_ERROR(storage_.Start());
  storage_.set_on_full([this](const ObjectPtr& object) {
    if (object->identity.size >= options_.complete_from) CheckIfFull(object);
  });
  storage_.Tick();
  writer_ = std::make_unique<CacheWriter>(storage_, options_.write_queue_bytes);
  return {};
}

DiskBlockCache::~DiskBlockCache() {
  if (writer_ == nullptr) return;
  stopping_ = true;
  waiter_.Stop();
  checker_.Stop();
  writer_->Stop();
  storage_.Finish();
}

std::optional<std::string> DiskBlockCache::FindOwner(const std::string& dir) { return CacheDirectory::FindOwner(dir); }

bool DiskBlockCache::Exists(const std::string& dir) { return CacheDirectory::Exists(dir); }

std::optional<uint64_t> DiskBlockCache::FindBlockSize(const std::string& dir) {
  return CacheIndex::FindBlockSize(CacheDirectory::IndexPath(dir));
}

bool DiskBlockCache::Get(const ObjectId& object, uint64_t index, uint64_t offset_in_block, std::span<std::byte> out) {
  auto pin = table_.Pin(NameOf(object), index);
  const bool hit = pin && reader_.Read(std::move(*pin), offset_in_block, out);
  metrics_.Add(hit ? Metric::kCacheHits : Metric::kCacheMisses);
  return hit;
}

bool DiskBlockCache::Contains(const ObjectId& object, uint64_t index) const {
  return table_.Has(NameOf(object), index);
}

void DiskBlockCache::Put(const ObjectId& object, uint64_t index, SharedBytes block) {
  const uint64_t expected = BlockRange(index, options_.block_size, object.size).size;
  const bool fits =
      block && expected != 0 && block.size() == expected && index < BlockCount(object.size, options_.block_size);
  if (fits && table_.Has(NameOf(object), index)) return;
  if (!fits || !writer_->TryPush({.object = object, .index = index, .block = std::move(block)})) {
    metrics_.Add(Metric::kCacheDroppedWrites);
  }
}

CacheShare DiskBlockCache::GetShare(const ObjectId& object) const {
  if (object.size == 0) return {.bytes = 0, .complete = true};
  return table_.GetShare(NameOf(object));
}

std::shared_ptr<BackingFile> DiskBlockCache::OpenComplete(const ObjectId& id) {
  const ObjectName name = NameOf(id);
  const ObjectPtr object = table_.Find(name);
  if (object == nullptr) return nullptr;
  if (!table_.IsComplete(object)) {
    CheckIfFull(object);
    return nullptr;
  }
  const auto opened = std::make_shared<std::shared_ptr<BackingFile>>();
  const auto done = waiter_.Run([this, name, opened] { *opened = LendAndOpen(name); });
  return done == DiskWaiter::Outcome::kDone ? *opened : nullptr;
}

std::shared_ptr<BackingFile> DiskBlockCache::LendAndOpen(const ObjectName& name) {
  MutexLock lock(lending_[ObjectNameHash{}(name) % lending_.size()]);
  const auto lent = table_.Lend(name);
  return lent ? OpenLent(*lent) : nullptr;
}

// A descriptor of its own, of a file that nobody has changed since it was found to be complete.
std::shared_ptr<BackingFile> DiskBlockCache::OpenLent(const LentObject& lent) {
  auto file = DataFile::Open(storage_.PathOf(*lent.object), lent.object->identity, FileUse::kLend);
  const auto before = file ? (*file)->GetStatus() : file.error();
  if (before && before->changed_ns != lent.changed_ns) {
    table_.Doubt(lent.object, before->changed_ns);
    CheckIfFull(lent.object);
    return nullptr;
  }
  const auto marked = before ? (*file)->MarkLent() : before.error();
  const auto after = marked ? (*file)->GetStatus() : marked.error();
  if (after) {
    auto backing = std::make_shared<BackingFile>(std::move(**file).TakeFd());
    return table_.KeepLent(lent.object, std::move(backing), after->changed_ns);
  }
  faults_.Note(after.error());
  if (!SaysNothingOfTheFile(after.error())) table_.Doom(lent.object);
  return nullptr;
}

// Without memory, or with too much to do, there is no verdict; OpenComplete asks again another time.
template <typename Step>
void DiskBlockCache::EndCheckOnFailure(const ObjectPtr& object, uint64_t drops, const Step& step) {
  try {
    if (step()) return;
  } catch (const std::bad_alloc&) {
  }
  (void)table_.EndCheck(object, {}, drops);
}

void DiskBlockCache::CheckIfFull(const ObjectPtr& object) {
  const auto drops = table_.BeginCheck(object);
  if (!drops) return;
  EndCheckOnFailure(object, *drops,
                    [&] { return checker_.TrySubmit([this, object, drops = *drops] { CheckWhole(object, drops); }); });
}

// On the checker's thread, and then on the writer's.
void DiskBlockCache::CheckWhole(const ObjectPtr& object, uint64_t drops) {
  EndCheckOnFailure(object, drops, [&] {
    const CheckResult result = reader_.CheckWhole(object, stopping_);
    writer_->Post([this, object, result, drops] {
      EndCheckOnFailure(object, drops, [&] {
        storage_.FinishCheck(object, result, drops);
        return true;
      });
    });
    return true;
  });
}

void DiskBlockCache::Clear() {
  metrics_.Add(Metric::kCacheDroppedWrites, writer_->DropQueued());
  writer_->RunAndWait([this] { storage_.Clear(); });
}

Result<CacheVerifyReport> DiskBlockCache::Verify(const CallContext& context) {
  CacheVerifyReport report;
  for (const ObjectPtr& object : table_.ListObjects()) {
    S3OVERLAY_RETURN_IF_ERROR(VerifyObject(object, context, report));
  }
  Flush();
  return report;
}

Result<void> DiskBlockCache::VerifyObject(const ObjectPtr& object, const CallContext& context,
                                          CacheVerifyReport& report) {
  ++report.objects;
  std::vector<std::byte> buffer;
  for (const uint64_t index : table_.ListBlocks(object)) {
    if (context.IsCancelled()) return Error{.code = ErrorCode::kCancelled, .message = "cache verify was cancelled"};
    if (context.deadline.HasPassed(clock_)) {
      return Error{.code = ErrorCode::kTimedOut, .message = "cache verify did not end in time"};
    }
    auto pin = table_.PinForCheck(object, index);
    if (!pin) continue;  // Evicted in the meantime.
    const ReadOutcome outcome = reader_.Check(std::move(*pin), buffer);
    ++report.blocks;
    if (outcome == ReadOutcome::kDamaged) ++report.damaged_blocks;
    if (outcome != ReadOutcome::kFailed && outcome != ReadOutcome::kNotTried) continue;
    ++report.damaged_files;
    if (outcome == ReadOutcome::kFailed) table_.Doom(object);
    break;
  }
  return {};
}

BlockCacheStats DiskBlockCache::GetStats() const {
  const TableTotals totals = table_.GetTotals();
  return {.dir = options_.dir,
          .format = CacheDirectory::kFormat,
          .block_size = options_.block_size,
          .size_limit = options_.size_limit,
          .min_free = options_.min_free,
          .bytes = totals.allocated + storage_.dying_bytes(),
          .index_bytes = storage_.index_bytes(),
          .objects = totals.objects,
          .complete_objects = totals.complete,
          .blocks = totals.blocks,
          .hits = metrics_.Get(Metric::kCacheHits),
          .misses = metrics_.Get(Metric::kCacheMisses),
          .evictions = metrics_.Get(Metric::kCacheEvictions),
          .checksum_failures = metrics_.Get(Metric::kCacheChecksumErrors),
          .dropped_writes = metrics_.Get(Metric::kCacheDroppedWrites),
          .clean_stop = storage_.was_clean()};
}

std::vector<QueueLength> DiskBlockCache::GetQueues() const {
  return {writer_->GetQueue(), waiter_.GetQueue(), checker_.GetQueue()};
}

void DiskBlockCache::Flush() {
  writer_->RunAndWait([this] { storage_.Flush(); });
  checker_.WaitIdle();
  writer_->RunAndWait([this] { storage_.Flush(); });
}

}  // namespace s3overlay
