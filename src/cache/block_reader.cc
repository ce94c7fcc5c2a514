// SPDX-License-Identifier: Apache-2.0
#include "cache/block_reader.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>

#include "cache/cache_directory.h"
#include "s3overlay/hash.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

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

}  // namespace

bool BlockReader::Read(BlockPin pin, uint64_t offset_in_block, std::span<std::byte> out) {
  const bool inside = offset_in_block <= pin.range.size && out.size() <= pin.range.size - offset_in_block;
  const ReadOutcome outcome = inside ? ReadPart(pin, offset_in_block, out) : ReadOutcome::kFailed;
  table_.Unpin(pin, outcome);
  return outcome == ReadOutcome::kRead || outcome == ReadOutcome::kVerified;
}

ReadOutcome BlockReader::ReadPart(BlockPin& pin, uint64_t offset_in_block, std::span<std::byte> out) {
  if (!OpenFile(pin)) return ReadOutcome::kFailed;
  if (pin.checked) {
    auto read = pin.file->Read(pin.range.offset + offset_in_block, out);
    return read ? ReadOutcome::kRead : Failed(read.error());
  }
  if (out.size() == pin.range.size) return ReadVerified(pin, out);
  std::vector<std::byte> whole(pin.range.size);
  const ReadOutcome outcome = ReadVerified(pin, whole);
  if (outcome == ReadOutcome::kVerified) std::copy_n(whole.begin() + offset_in_block, out.size(), out.begin());
  return outcome;
}

ReadOutcome BlockReader::Check(BlockPin pin, std::vector<std::byte>& buffer) {
  buffer.resize(pin.range.size);
  const ReadOutcome outcome = OpenFile(pin) ? ReadVerified(pin, buffer) : ReadOutcome::kFailed;
  table_.Unpin(pin, outcome);
  return outcome;
}

ReadOutcome BlockReader::ReadVerified(BlockPin& pin, std::span<std::byte> whole) {
  if (auto read = pin.file->Read(pin.range.offset, whole); !read) return Failed(read.error());
  if (Hash64(whole) == pin.checksum) return ReadOutcome::kVerified;
  metrics_.Add(Metric::kCacheChecksumErrors);
  log::Warning("cache: block {} of {} does not match its checksum; dropped", pin.index, ToHex(pin.object->name));
  return ReadOutcome::kDamaged;
}

CheckVerdict BlockReader::CheckWhole(const ObjectPtr& object, const std::atomic<bool>& cancelled) {
  Md5Stream md5(object->md5);
  std::vector<std::byte> buffer;
  std::shared_ptr<DataFile> file;
  for (uint64_t index = 0; index < object->blocks.block_count(); ++index) {
    auto pin = table_.PinForCheck(object, index);
    if (!pin) return CheckVerdict::kFailed;
    if (cancelled.load(std::memory_order_relaxed) || !OpenFile(*pin)) {
      table_.Unpin(*pin, ReadOutcome::kFailed);
      return CheckVerdict::kFailed;
    }
    file = pin->file;
    if (pin->checked && !object->md5) {
      table_.Unpin(*pin, ReadOutcome::kRead);
    } else if (Check(std::move(*pin), buffer) != ReadOutcome::kVerified) {
      return CheckVerdict::kFailed;
    }
    md5.Add(buffer);
  }
  if (!md5.Matches()) return CheckVerdict::kRefused;
  return file != nullptr && Sync(object, *file) ? CheckVerdict::kComplete : CheckVerdict::kFailed;
}

// The kernel tells of a lost write once, and may read the old bytes from then on: nothing of the file is worth keeping.
bool BlockReader::Sync(const ObjectPtr& object, DataFile& file) {
  auto synced = file.Sync();
  if (synced) return true;
  faults_.Note(synced.error());
  table_.Doom(object);
  return false;
}

bool BlockReader::OpenFile(BlockPin& pin) {
  if (pin.file != nullptr) return true;
  const ObjectPtr& object = pin.object;
  auto opened = DataFile::Open(DataPath(dir_, object->name, object->extension), object->identity, true);
  if (opened) {
    pin.file = std::move(*opened);
    table_.KeepOpen(object, pin.file);
    return true;
  }
  // Short of descriptors or memory says nothing about the file.
  const ErrorCode code = opened.error().code;
  if (code == ErrorCode::kNotFound || code == ErrorCode::kNotADirectory || code == ErrorCode::kBadResponse) {
    table_.Doom(object);
  }
  faults_.Note(opened.error());
  return false;
}

ReadOutcome BlockReader::Failed(const Error& error) {
  faults_.Note(error);
  return ReadOutcome::kFailed;
}

}  // namespace s3overlay
