// SPDX-License-Identifier: Apache-2.0
#include "cache/object_table.h"

#include <algorithm>
#include <set>
#include <utility>

namespace s3overlay {
namespace {

constexpr uint16_t kMaxPins = UINT16_MAX;

}  // namespace

CachedObject::CachedObject(const ObjectRow& row, uint64_t block_size)
    : serial(row.serial),
      name(row.name),
      extension(row.extension),
      identity(row.file),
      md5(Md5OfEtag(row.etag)),
      complete_in_index(row.complete),
      last_use_in_index_s(row.last_use_s),
      blocks(row.file.size, block_size),
      allocated(row.allocated),
      changed_ns(row.changed_ns),
      last_use_s(row.last_use_s),
      complete(row.complete),
      lent(row.lent) {}

std::optional<BlockPin> ObjectTable::Pin(const ObjectName& name, uint64_t index) {
  MutexLock lock(mu_);
  const ObjectPtr object = FindLocked(name);
  if (object == nullptr) return std::nullopt;
  auto pin = PinLocked(object, index);
  if (!pin) return std::nullopt;
  object->last_use_s = NowSeconds();
  policy_.Touch(KeyOf(*object, index));
  if (object->file != nullptr) open_.splice(open_.begin(), open_, object->open_position);
  return pin;
}

std::optional<BlockPin> ObjectTable::PinForCheck(const ObjectPtr& object, uint64_t index) {
  MutexLock lock(mu_);
  if (!object->alive) return std::nullopt;
  return PinLocked(object, index);
}

std::optional<BlockPin> ObjectTable::PinLocked(const ObjectPtr& object, uint64_t index) {
  const BlockSlot* slot = object->blocks.Find(index);
  if (slot == nullptr || slot->pins == kMaxPins) return std::nullopt;
  object->blocks.Pin(index);
  // The kernel may read a lent file for its readers, unchecked, and we would find its pages.
  const bool only_ours = !object->lent && !object->syncing;
  return BlockPin{.object = object,
                  .index = index,
                  .range = object->blocks.RangeOf(index),
                  .checksum = slot->checksum,
                  .checked = object->blocks.IsChecked(*slot) && only_ours,
                  .changed_ns = object->changed_ns,
                  .file = object->file};
}

bool ObjectTable::Unpin(const BlockPin& pin, ReadOutcome outcome) {
  MutexLock lock(mu_);
  CachedObject& object = *pin.object;
  object.blocks.Unpin(pin.index);
  BlockSlot* slot = object.blocks.Find(pin.index);
  if (!object.alive || slot == nullptr) return false;
  if (outcome == ReadOutcome::kDamaged) {
    DropDamaged(pin);  // And with the block its slot.
    return false;
  }
  // What was verified before the last change says nothing of what came with it.
  if (outcome == ReadOutcome::kVerified && pin.changed_ns == object.changed_ns) object.blocks.SetChecked(*slot);
  return !object.syncing;
}

// A complete object may be mapped by now: it goes whole, never to be written into.
void ObjectTable::DropDamaged(const BlockPin& pin) {
  CachedObject& object = *pin.object;
  // Nor is one without a block of any use.
  if (object.complete || object.lent || object.blocks.present_count() == 1) return DoomLocked(pin.object);
  DropBlock(object, pin.index);
  ResizeUnit(object, pin.index / options_.unit_blocks);
  changes_.extents.emplace_back(pin.object, object.blocks.ExtentOf(pin.index));
}

void ObjectTable::DropBlock(CachedObject& object, uint64_t index) {
  object.blocks.Drop(index);
  ++object.drops;
  --totals_.blocks;
  SetComplete(object, false);
}

void ObjectTable::SetComplete(CachedObject& object, bool complete) {
  if (object.complete == complete) return;
  object.complete = complete;
  totals_.complete += complete ? 1 : -1;
}

void ObjectTable::KeepOpen(const ObjectPtr& object, std::shared_ptr<DataFile> file) {
  std::vector<std::shared_ptr<DataFile>> closing;
  MutexLock lock(mu_);
  // One that only reads makes way for one that the writer can use.
  if (object->file != nullptr && file->is_writable() && !object->file->is_writable()) CloseFile(*object);
  if (object->alive && object->file == nullptr) {
    object->file = std::move(file);
    open_.push_front(object.get());
    object->open_position = open_.begin();
  }
  while (open_.size() > options_.max_open_files) CloseFile(*open_.back());
  closing.swap(closing_);
}

// What was checked through this descriptor is checked again through the next one, which is not told of writes that were
// lost before it was opened.
void ObjectTable::CloseFile(CachedObject& object) {
  if (object.file == nullptr) return;
  object.blocks.Doubt();
  closing_.push_back(std::move(object.file));
  object.file = nullptr;
  open_.erase(object.open_position);
}

bool ObjectTable::Has(const ObjectName& name, uint64_t index) const {
  MutexLock lock(mu_);
  const ObjectPtr object = FindLocked(name);
  return object != nullptr && object->blocks.Find(index) != nullptr;
}

CacheShare ObjectTable::GetShare(const ObjectName& name) const {
  MutexLock lock(mu_);
  const ObjectPtr object = FindLocked(name);
  if (object == nullptr) return {};
  return {.bytes = object->blocks.present_bytes(), .complete = object->blocks.is_full()};
}

bool ObjectTable::IsComplete(const ObjectPtr& object) const {
  MutexLock lock(mu_);
  return object->complete;
}

TableTotals ObjectTable::GetTotals() const {
  MutexLock lock(mu_);
  TableTotals totals = totals_;
  totals.objects = objects_.size();
  return totals;
}

std::vector<ObjectPtr> ObjectTable::ListObjects() const {
  MutexLock lock(mu_);
  std::vector<ObjectPtr> objects;
  objects.reserve(objects_.size());
  for (const auto& [name, object] : objects_) objects.push_back(object);
  return objects;
}

std::vector<uint64_t> ObjectTable::ListBlocks(const ObjectPtr& object) const {
  MutexLock lock(mu_);
  return object->blocks.PresentIn(0, object->blocks.block_count());
}

void ObjectTable::Doom(const ObjectPtr& object) {
  MutexLock lock(mu_);
  DoomLocked(object);
}

void ObjectTable::DoomIfEmpty(const ObjectPtr& object) {
  MutexLock lock(mu_);
  if (object->blocks.present_count() == 0) DoomLocked(object);
}

void ObjectTable::DoomLocked(const ObjectPtr& object) {
  if (!object->alive) return;
  TakeOut(object);
  changes_.doomed.push_back(object);
}

void ObjectTable::TakeOut(const ObjectPtr& object) {
  RemoveUnits(*object);
  totals_.blocks -= object->blocks.present_count();
  SetComplete(*object, false);
  CloseFile(*object);
  object->alive = false;
  objects_.erase(object->name);
}

void ObjectTable::Doubt(const ObjectPtr& object, int64_t changed_ns) {
  MutexLock lock(mu_);
  if (!object->alive) return;
  if (object->complete) changes_.rows.push_back(object);
  SetComplete(*object, false);
  object->blocks.Doubt();
  object->changed_ns = changed_ns;
}

void ObjectTable::SetSyncing(const ObjectPtr& object, bool syncing) {
  MutexLock lock(mu_);
  object->syncing = syncing;
}

std::optional<LentObject> ObjectTable::Lend(const ObjectName& name) {
  MutexLock lock(mu_);
  ObjectPtr object = FindLocked(name);
  if (object == nullptr || !object->complete) return std::nullopt;
  object->last_use_s = NowSeconds();
  if (!object->lent) {
    RemoveUnits(*object);
    object->lent = true;
    policy_.InsertMain(KeyOf(*object, 0), object->allocated);
    changes_.rows.push_back(object);
  }
  policy_.Touch(KeyOf(*object, 0));
  return LentObject{.object = object, .changed_ns = object->changed_ns};
}

std::shared_ptr<BackingFile> ObjectTable::KeepLent(const ObjectPtr& object, std::shared_ptr<BackingFile> backing,
                                                   int64_t changed_ns) {
  MutexLock lock(mu_);
  if (object->changed_ns != changed_ns && object->alive) changes_.rows.push_back(object);
  SetChange(*object, changed_ns);
  if (auto earlier = object->backing.lock()) return earlier;
  object->backing = backing;
  return backing;
}

std::optional<uint64_t> ObjectTable::BeginCheck(const ObjectPtr& object) {
  MutexLock lock(mu_);
  const bool is_open_question = !object->complete && !object->refused && !object->checking;
  if (!object->alive || !object->blocks.is_full() || !is_open_question) return std::nullopt;
  object->checking = true;
  return object->drops;
}

bool ObjectTable::EndCheck(const ObjectPtr& object, const CheckResult& result, uint64_t drops) {
  MutexLock lock(mu_);
  object->checking = false;
  if (result.verdict == CheckVerdict::kRefused) object->refused = true;
  if (result.verdict != CheckVerdict::kComplete || !object->alive || object->drops != drops) return false;
  SetChange(*object, result.changed_ns);
  SetComplete(*object, true);
  return true;
}

ObjectPtr ObjectTable::Find(const ObjectName& name) const {
  MutexLock lock(mu_);
  return FindLocked(name);
}

ObjectPtr ObjectTable::FindLocked(const ObjectName& name) const {
  const auto found = objects_.find(name);
  return found == objects_.end() ? nullptr : found->second;
}

void ObjectTable::Insert(const ObjectPtr& object) {
  MutexLock lock(mu_);
  objects_[object->name] = object;
  SetAllocated(*object, std::exchange(object->allocated, 0));
  totals_.blocks += object->blocks.present_count();
  totals_.complete += object->complete ? 1 : 0;
  std::set<uint64_t> units;
  for (const uint64_t index : object->blocks.PresentIn(0, object->blocks.block_count())) {
    units.insert(KeyOf(*object, index).unit);
  }
  // What outlived a restart has proven its worth.
  for (const uint64_t unit : units) {
    policy_.InsertMain({object->name, unit}, 1);
    ResizeUnit(*object, unit);
  }
}

std::shared_ptr<DataFile> ObjectTable::GetFile(const ObjectPtr& object) {
  MutexLock lock(mu_);
  return object->file;
}

bool ObjectTable::MayWrite(const ObjectPtr& object, uint64_t index) const {
  MutexLock lock(mu_);
  return object->alive && !object->lent && !object->complete && object->blocks.Find(index) == nullptr;
}

void ObjectTable::AddBlock(const ObjectPtr& object, uint64_t index, uint64_t checksum) {
  MutexLock lock(mu_);
  if (!object->alive || object->blocks.Find(index) != nullptr) return;
  object->blocks.Set(index, checksum);
  SetAllocated(*object, object->allocated);
  object->last_use_s = NowSeconds();
  ++totals_.blocks;
  ResizeUnit(*object, index / options_.unit_blocks);
}

void ObjectTable::SetStatus(const ObjectPtr& object, const FileStatus& status) {
  MutexLock lock(mu_);
  SetAllocated(*object, status.allocated);
  SetChange(*object, status.changed_ns);
}

// No less than its blocks: ZFS counts what was written only when it has reached the medium, seconds later.
void ObjectTable::SetAllocated(CachedObject& object, uint64_t told) {
  const uint64_t allocated = std::max(told, RoundUpToPage(object.blocks.present_bytes()));
  totals_.allocated += allocated - object.allocated;
  object.allocated = allocated;
}

// Be it one of our own: somebody else's may hide behind it, and nothing can tell them apart.
void ObjectTable::SetChange(CachedObject& object, int64_t changed_ns) {
  if (object.changed_ns == changed_ns) return;
  object.changed_ns = changed_ns;
  object.blocks.Doubt();
}

int64_t ObjectTable::ChangeOf(const ObjectPtr& object) const {
  MutexLock lock(mu_);
  return object->changed_ns;
}

void ObjectTable::SetGone(const ObjectPtr& object) {
  MutexLock lock(mu_);
  totals_.allocated -= object->allocated;
  object->allocated = 0;
}

std::vector<Victim> ObjectTable::TakeVictims(uint64_t bytes) {
  std::vector<Victim> victims;
  std::vector<std::shared_ptr<DataFile>> closing;
  MutexLock lock(mu_);
  const uint64_t before = policy_.bytes();
  const uint64_t goal = before > bytes ? before - bytes : 0;
  while (policy_.bytes() > goal) {
    const auto key = policy_.TakeVictim([this](const UnitKey& each) S3OVERLAY_REQUIRES(mu_) { return MayEvict(each); });
    if (!key) break;
    if (Victim victim = Evict(*key); victim.object != nullptr) victims.push_back(std::move(victim));
  }
  closing.swap(closing_);
  return victims;
}

// A file that is open for passthrough would give no space back.
bool ObjectTable::MayEvict(const UnitKey& key) const {
  const ObjectPtr object = FindLocked(key.object);
  if (object == nullptr) return true;
  if (key.unit == UnitKey::kWholeObject) return object->backing.expired();
  const uint64_t first = key.unit * options_.unit_blocks;
  return !object->blocks.IsPinned(first, first + options_.unit_blocks);
}

Victim ObjectTable::Evict(const UnitKey& key) {
  Victim victim{.object = FindLocked(key.object)};
  if (victim.object == nullptr) return victim;
  CachedObject& object = *victim.object;
  if (key.unit == UnitKey::kWholeObject) {
    victim.whole = true;
    victim.blocks = object.blocks.present_count();
    TakeOut(victim.object);
    return victim;
  }
  victim.first = key.unit * options_.unit_blocks;
  victim.last = std::min(victim.first + options_.unit_blocks, object.blocks.block_count());
  for (const uint64_t index : object.blocks.PresentIn(victim.first, victim.last)) {
    DropBlock(object, index);
    ++victim.blocks;
  }
  victim.whole = object.blocks.present_count() == 0;
  if (victim.whole) TakeOut(victim.object);
  return victim;
}

void ObjectTable::DoomAll() {
  std::vector<std::shared_ptr<DataFile>> closing;  // Goes after the lock.
  MutexLock lock(mu_);
  while (!objects_.empty()) DoomLocked(ObjectPtr(objects_.begin()->second));
  policy_.Clear();
  closing.swap(closing_);
}

TableChanges ObjectTable::TakeChanges() {
  std::vector<std::shared_ptr<DataFile>> closing;
  MutexLock lock(mu_);
  closing.swap(closing_);
  TableChanges changes = std::exchange(changes_, {});
  return changes;
}

ObjectRow ObjectTable::RowOf(const ObjectPtr& object) const {
  MutexLock lock(mu_);
  return {.serial = object->serial,
          .name = object->name,
          .extension = object->extension,
          .etag = {},  // The index has it, the table does not.
          .file = object->identity,
          .allocated = object->allocated,
          .complete = object->complete,
          .changed_ns = object->changed_ns,
          .lent = object->lent,
          .last_use_s = object->last_use_s};
}

std::vector<std::byte> ObjectTable::EncodeExtent(const ObjectPtr& object, uint64_t extent) const {
  MutexLock lock(mu_);
  return object->blocks.EncodeExtent(extent);
}

void ObjectTable::ResizeUnit(const CachedObject& object, uint64_t unit) {
  if (object.lent) return policy_.Resize({object.name, UnitKey::kWholeObject}, object.allocated);
  uint64_t bytes = 0;
  const uint64_t first = unit * options_.unit_blocks;
  for (const uint64_t index : object.blocks.PresentIn(first, first + options_.unit_blocks)) {
    bytes += RoundUpToPage(object.blocks.RangeOf(index).size);
  }
  policy_.Resize({object.name, unit}, bytes);
}

void ObjectTable::RemoveUnits(const CachedObject& object) {
  if (object.lent) return policy_.Remove({object.name, UnitKey::kWholeObject});
  uint64_t last = UINT64_MAX;
  for (const uint64_t index : object.blocks.PresentIn(0, object.blocks.block_count())) {
    const uint64_t unit = index / options_.unit_blocks;
    if (unit != last) policy_.Remove({object.name, unit});
    last = unit;
  }
}

UnitKey ObjectTable::KeyOf(const CachedObject& object, uint64_t index) const {
  return {object.name, object.lent ? UnitKey::kWholeObject : index / options_.unit_blocks};
}

int64_t ObjectTable::NowSeconds() const {
  return std::chrono::duration_cast<std::chrono::seconds>(clock_.WallNow().time_since_epoch()).count();
}

}  // namespace s3overlay
