// SPDX-License-Identifier: Apache-2.0
#include "cache/block_reader.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <new>
#include <utility>

#include "cache/cache_directory.h"
#include "s3overlay/hash.h"

namespace s3overlay {

// MD5 over a stream; of no use where nothing is expected, or where the library refuses it (FIPS).
class Md5Stream {
 public:
  explicit Md5Stream(const std::optional<Md5Digest>& expected) : expected_(expected) {
    if (!expected_) return;
    context_.reset(::EVP_MD_CTX_new());
    usable_ = context_ != nullptr && ::EVP_DigestInit_ex(context_.get(), ::EVP_md5(), nullptr) == 1;
  }

  void Add(std::span<const std::byte> bytes) {
    if (usable_) usable_ = ::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }

  bool Matches() {
    if (!expected_) return true;
    Md5Digest digest{};
    unsigned size = 0;
    if (!usable_ || ::EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1) return false;
    return digest == *expected_;
  }

 private:
  struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
  };

  const std::optional<Md5Digest> expected_;
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
  bool usable_ = false;
};

// Gives a pin back however its reader ends.
class PinHolder {
 public:
  PinHolder(ObjectTable& table, BlockPin pin) : table_(&table), pin_(std::move(pin)) {}
  ~PinHolder() {
    if (table_ != nullptr) (void)table_->Unpin(pin_, ReadOutcome::kNotTried);
  }
  PinHolder(PinHolder&& other) noexcept : table_(std::exchange(other.table_, nullptr)), pin_(std::move(other.pin_)) {}
  PinHolder& operator=(PinHolder&&) = delete;

  BlockPin& operator*() { return pin_; }
  BlockPin* operator->() { return &pin_; }
  bool GiveBack(ReadOutcome outcome) { return std::exchange(table_, nullptr)->Unpin(pin_, outcome); }

 private:
  ObjectTable* table_;
  BlockPin pin_;
};

namespace {

ReadOutcome OutcomeOf(const Error& error) {
  return SaysNothingOfTheFile(error) ? ReadOutcome::kNotTried : ReadOutcome::kFailed;
}

}  // namespace

bool BlockReader::Read(BlockPin pin, uint64_t offset_in_block, std::span<std::byte> out) {
  PinHolder held(table_, std::move(pin));
  const uint64_t size = held->range.size;
  if (offset_in_block > size || out.size() > size - offset_in_block) return false;
  const auto outcome = ReadAtOnce(*held, offset_in_block, out);
  if (!outcome) return ReadFromDisk(std::move(held), offset_in_block, out);
  const bool still_counts = held.GiveBack(*outcome);
  return *outcome == ReadOutcome::kVerified || (*outcome == ReadOutcome::kRead && still_counts);
}

std::optional<ReadOutcome> BlockReader::ReadAtOnce(BlockPin& pin, uint64_t offset_in_block, std::span<std::byte> out) {
  if (pin.file == nullptr && !OpenAtOnce(pin)) return std::nullopt;
  if (pin.checked) {
    const bool read = ReadPagesAtOnce(*pin.file, pin.range.offset + offset_in_block, out) && IsUnchanged(pin);
    return read ? std::optional(ReadOutcome::kRead) : std::nullopt;
  }
  std::vector<std::byte> own(out.size() == pin.range.size ? 0 : pin.range.size);
  const std::span<std::byte> whole = own.empty() ? out : std::span(own);
  if (!ReadPagesAtOnce(*pin.file, pin.range.offset, whole)) return std::nullopt;
  const ReadOutcome outcome = Verify(pin, whole);
  if (!own.empty() && outcome == ReadOutcome::kVerified) {
    std::copy_n(own.begin() + static_cast<std::ptrdiff_t>(offset_in_block), out.size(), out.begin());
  }
  return outcome;
}

bool BlockReader::ReadPagesAtOnce(const DataFile& file, uint64_t offset, std::span<std::byte> out) {
  const bool read = file.ReadAtOnce(offset, out);
  if (read) reads_at_once_ = true;
  return read;
}

// Small files come in such numbers that most are not open. Only where it cannot hang: a network file system, or one of
// FUSE, would be asked.
bool BlockReader::OpenAtOnce(BlockPin& pin) {
  if (!reads_at_once_ || waiter_.is_overdue()) return false;
  pin.file = DataFile::OpenAtOnce(DataPath(dir_, pin.object->name, pin.object->extension), pin.object->identity);
  if (pin.file == nullptr) return false;
  pin.checked = false;  // If it was, then through a descriptor that has been closed meanwhile.
  table_.KeepOpen(pin.object, pin.file);
  return true;
}

// Asked after the bytes were read: what happened before is seen.
bool BlockReader::IsUnchanged(const BlockPin& pin) {
  if (pin.file->HasLostWrites()) {
    faults_.Note({.code = ErrorCode::kSystem, .message = "writes to a cache file were lost", .sys_errno = EIO});
    table_.Doom(pin.object);
    return false;
  }
  const auto status = pin.file->GetStatus();
  return status && status->changed_ns == pin.changed_ns;
}

bool BlockReader::ReadFromDisk(PinHolder held, uint64_t offset_in_block, std::span<std::byte> out) {
  struct Job {
    explicit Job(PinHolder held) : pin(std::move(held)), whole(pin->range.size) {}
    PinHolder pin;
    std::vector<std::byte> whole;
    ReadOutcome outcome = ReadOutcome::kFailed;
  };
  const auto job = std::make_shared<Job>(std::move(held));
  const auto done = waiter_.Run([this, job] {
    job->outcome = ReadWhole(*job->pin, job->whole);
    (void)job->pin.GiveBack(job->outcome);
  });
  if (done != DiskWaiter::Outcome::kDone || job->outcome != ReadOutcome::kVerified) return false;
  std::copy_n(job->whole.begin() + static_cast<std::ptrdiff_t>(offset_in_block), out.size(), out.begin());
  return true;
}

ReadOutcome BlockReader::Check(BlockPin pin, std::vector<std::byte>& buffer) {
  PinHolder held(table_, std::move(pin));
  buffer.resize(held->range.size);
  const ReadOutcome outcome = ReadWhole(*held, buffer);
  (void)held.GiveBack(outcome);
  return outcome;
}

ReadOutcome BlockReader::ReadWhole(BlockPin& pin, std::span<std::byte> whole) {
  if (pin.file == nullptr) {
    auto opened = OpenFile(pin.object);
    if (!opened) return OutcomeOf(opened.error());
    pin.file = std::move(*opened);
  }
  return ReadVerified(pin, whole);
}

ReadOutcome BlockReader::ReadVerified(const BlockPin& pin, std::span<std::byte> whole) {
  if (ReadPagesAtOnce(*pin.file, pin.range.offset, whole)) return Verify(pin, whole);
  auto read = pin.file->Read(pin.range.offset, whole);
  if (read) return Verify(pin, whole);
  faults_.Note(read.error());
  // What the medium does not give back is as good as damaged: written anew it may be.
  return read.error().sys_errno == EIO ? ReadOutcome::kDamaged : OutcomeOf(read.error());
}

ReadOutcome BlockReader::Verify(const BlockPin& pin, std::span<const std::byte> whole) {
  if (Hash64(whole) == pin.checksum) return ReadOutcome::kVerified;
  faults_.NoteDamage(pin.index, ToHex(pin.object->name));
  return ReadOutcome::kDamaged;
}

// The file must not have been changed by anybody since its blocks were held to their checksums, nor while this goes on.
CheckResult BlockReader::CheckWhole(const ObjectPtr& object, const std::atomic<bool>& cancelled) {
  const auto opened = OpenFile(object);
  if (!opened) return {};
  const std::shared_ptr<DataFile>& file = *opened;
  const auto before = file->GetStatus();
  if (!before) return {};
  if (before->changed_ns != table_.ChangeOf(object)) table_.Doubt(object, before->changed_ns);
  Md5Stream md5(object->md5);
  if (!CheckBlocks(object, cancelled, md5)) return {};
  if (!md5.Matches()) return {.verdict = CheckVerdict::kRefused};
  if (!Sync(object, *file)) return {};
  const auto after = file->GetStatus();
  if (!after || after->changed_ns != before->changed_ns) return {};
  return {.verdict = CheckVerdict::kComplete, .changed_ns = after->changed_ns};
}

bool BlockReader::CheckBlocks(const ObjectPtr& object, const std::atomic<bool>& cancelled, Md5Stream& md5) {
  std::vector<std::byte> buffer;
  for (uint64_t index = 0; index < object->blocks.block_count(); ++index) {
    if (cancelled.load(std::memory_order_relaxed)) return false;
    auto pin = table_.PinForCheck(object, index);
    if (!pin) return false;
    if (pin->checked && !object->md5) {
      table_.Unpin(*pin, ReadOutcome::kRead);
      continue;
    }
    if (Check(std::move(*pin), buffer) != ReadOutcome::kVerified) return false;
    md5.Add(buffer);
  }
  return true;
}

// The kernel tells of a lost write once, and may read the old bytes from then on: nothing of the file is worth keeping.
bool BlockReader::Sync(const ObjectPtr& object, DataFile& file) {
  table_.SetSyncing(object, true);
  bool is_synced = false;
  try {
    const auto synced = file.Sync();
    is_synced = synced.has_value();
    if (!synced) faults_.Note(synced.error());
  } catch (const std::bad_alloc&) {  // Of an error that nobody could tell of.
  }
  if (!is_synced) table_.Doom(object);
  table_.SetSyncing(object, false);
  return is_synced;
}

Result<std::shared_ptr<DataFile>> BlockReader::OpenFile(const ObjectPtr& object) {
  if (auto file = table_.GetFile(object)) return file;
  auto opened = DataFile::Open(DataPath(dir_, object->name, object->extension), object->identity, FileUse::kRead);
  if (opened) {
    std::shared_ptr<DataFile> file = std::move(*opened);
    table_.KeepOpen(object, file);
    return file;
  }
  // Short of descriptors or memory says nothing about the file.
  const ErrorCode code = opened.error().code;
  if (code == ErrorCode::kNotFound || code == ErrorCode::kNotADirectory || code == ErrorCode::kBadResponse) {
    table_.Doom(object);
  }
  faults_.Note(opened.error());
  return opened.error();
}

}  // namespace s3overlay
