// SPDX-License-Identifier: Apache-2.0
//
// A block cache in memory: what it is given it has at once, for as long as it fits its limit. Thread-safe.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "s3overlay/block_cache.h"
#include "s3overlay/mutex.h"

namespace s3overlay::testing {

struct MemoryBlockCacheOptions {
  uint64_t block_size = 128 << 10;
  uint64_t size_limit = UINT64_MAX;  // Bytes; the oldest blocks go first.
};

class MemoryBlockCache final : public BlockCache {
 public:
  explicit MemoryBlockCache(MemoryBlockCacheOptions options = {}) : options_(options) {}

  uint64_t block_size() const override { return options_.block_size; }

  bool Get(const ObjectId& object, uint64_t index, uint64_t offset_in_block, std::span<std::byte> out) override {
    MutexLock lock(mu_);
    const SharedBytes block = Find(object, index);
    const bool hit = block && offset_in_block <= block.size() && out.size() <= block.size() - offset_in_block;
    ++(hit ? stats_.hits : stats_.misses);
    if (hit) std::ranges::copy(block.bytes.subspan(offset_in_block, out.size()), out.begin());
    return hit;
  }

  bool Contains(const ObjectId& object, uint64_t index) const override {
    MutexLock lock(mu_);
    return static_cast<bool>(Find(object, index));
  }

  void Put(const ObjectId& object, uint64_t index, SharedBytes block) override {
    MutexLock lock(mu_);
    const uint64_t size = BlockRange(index, options_.block_size, object.size).size;
    if (size == 0 || block.size() != size || size > options_.size_limit || Find(object, index)) {
      ++stats_.dropped_writes;
      return;
    }
    while (stats_.bytes + size > options_.size_limit) EvictOldest();
    const Key key{Identity(object), index};
    blocks_[key] = std::move(block);
    order_.push_back(key);
    stats_.bytes += size;
  }

  CacheShare GetShare(const ObjectId& object) const override {
    MutexLock lock(mu_);
    CacheShare share;
    for (uint64_t i = 0; i < BlockCount(object.size, options_.block_size); ++i) {
      if (const SharedBytes block = Find(object, i)) share.bytes += block.size();
    }
    share.complete = share.bytes == object.size;
    return share;
  }

  // A memory file of its own for each caller.
  std::shared_ptr<BackingFile> OpenComplete(const ObjectId& object) override {
    if (object.size == 0 || !GetShare(object).complete) return nullptr;
    UniqueFd fd(::memfd_create("block-cache", MFD_CLOEXEC));
    MutexLock lock(mu_);
    for (uint64_t i = 0; i < BlockCount(object.size, options_.block_size); ++i) {
      const SharedBytes block = Find(object, i);
      if (!block) return nullptr;
      const auto offset = static_cast<off_t>(i * options_.block_size);
      if (::pwrite(fd.get(), block.bytes.data(), block.size(), offset) != static_cast<ssize_t>(block.size()))
        return nullptr;
    }
    return std::make_shared<BackingFile>(std::move(fd));
  }

  void Clear() override {
    MutexLock lock(mu_);
    blocks_.clear();
    order_.clear();
    stats_.bytes = 0;
  }

  Result<CacheVerifyReport> Verify(const CallContext& context) override {
    if (context.IsCancelled()) return Error{.code = ErrorCode::kCancelled, .message = "cancelled"};
    MutexLock lock(mu_);
    CacheVerifyReport report;
    report.blocks = blocks_.size();
    return report;
  }

  BlockCacheStats GetStats() const override {
    MutexLock lock(mu_);
    BlockCacheStats stats = stats_;
    stats.block_size = options_.block_size;
    stats.size_limit = options_.size_limit;
    stats.blocks = blocks_.size();
    return stats;
  }

 private:
  using Key = std::pair<std::string, uint64_t>;

  static std::string Identity(const ObjectId& id) {
    std::string text = id.store + '\n' + id.bucket + '\n' + id.key + '\n' + id.etag + '\n' + id.version_id + '\n' +
                       std::to_string(id.size);
    if (!HasStrongEtag(id)) text += '\n' + std::to_string(id.last_modified.time_since_epoch().count());
    return text;
  }
  SharedBytes Find(const ObjectId& object, uint64_t index) const S3OVERLAY_REQUIRES(mu_) {
    const auto found = blocks_.find({Identity(object), index});
    return found == blocks_.end() ? SharedBytes() : found->second;
  }
  void EvictOldest() S3OVERLAY_REQUIRES(mu_) {
    const auto oldest = blocks_.find(order_.front());
    stats_.bytes -= oldest->second.size();
    ++stats_.evictions;
    blocks_.erase(oldest);
    order_.pop_front();
  }

  const MemoryBlockCacheOptions options_;

  mutable Mutex mu_;
  std::map<Key, SharedBytes> blocks_ S3OVERLAY_GUARDED_BY(mu_);
  std::deque<Key> order_ S3OVERLAY_GUARDED_BY(mu_);
  BlockCacheStats stats_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
