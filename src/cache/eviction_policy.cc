// SPDX-License-Identifier: Apache-2.0
#include "cache/eviction_policy.h"

#include <algorithm>
#include <iterator>

namespace s3overlay {
namespace {

constexpr uint8_t kMaxUses = 3;
constexpr uint64_t kSmallShare = 10;    // The small queue's share of the bytes: one in so many.
constexpr uint64_t kCloseTouches = 64;  // Touches of one unit with fewer others between them are one use.
constexpr size_t kMinRemembered = 16;

}  // namespace

void EvictionPolicy::Resize(const UnitKey& key, uint64_t bytes) {
  if (bytes == 0) return Remove(key);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return Insert(key, bytes, gone_.erase(key) > 0);
  Entry& entry = *found->second;
  BytesOf(entry) += bytes - entry.bytes;
  entry.bytes = bytes;
}

void EvictionPolicy::InsertMain(const UnitKey& key, uint64_t bytes) {
  Remove(key);
  Insert(key, bytes, true);
}

void EvictionPolicy::Touch(const UnitKey& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  const uint64_t close = std::clamp<uint64_t>(entries_.size() / 8, 1, kCloseTouches);
  const bool is_new_use = touches_ - entry.last_touch >= close;
  if (touches_ != entry.last_touch) entry.last_touch = ++touches_;
  if (is_new_use) entry.uses = std::min<uint8_t>(kMaxUses, entry.uses + 1);
}

void EvictionPolicy::Remove(const UnitKey& key) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) Erase(found->second);
}

std::optional<UnitKey> EvictionPolicy::TakeVictim(const MayEvict& may_evict) {
  // Each entry is passed at most once for every use it may have, once on its way to the main queue, once if refused.
  for (size_t steps = entries_.size() * (kMaxUses + 2); steps > 0; --steps) {
    const bool from_small = SmallQueueIsNext();
    Queue& queue = from_small ? small_ : main_;
    const auto oldest = std::prev(queue.end());
    if (from_small && oldest->uses > 0) {
      MoveToMain(oldest);
    } else if (oldest->uses > 0) {
      --oldest->uses;
      queue.splice(queue.begin(), queue, oldest);
    } else if (!may_evict(oldest->key)) {
      // In use at this moment, which is a use.
      if (from_small) MoveToMain(oldest);
      main_.splice(main_.begin(), main_, oldest);
    } else {
      const UnitKey victim = oldest->key;
      Erase(oldest);
      RememberGone(victim);
      return victim;
    }
  }
  return std::nullopt;
}

void EvictionPolicy::Clear() { *this = EvictionPolicy(); }

void EvictionPolicy::Insert(const UnitKey& key, uint64_t bytes, bool in_main) {
  Entry entry{.key = key, .bytes = bytes, .last_touch = ++touches_, .in_main = in_main};
  BytesOf(entry) += bytes;
  Queue& queue = QueueOf(entry);
  queue.push_front(entry);
  entries_[key] = queue.begin();
}

void EvictionPolicy::Erase(Queue::iterator entry) {
  BytesOf(*entry) -= entry->bytes;
  entries_.erase(entry->key);
  QueueOf(*entry).erase(entry);
}

void EvictionPolicy::MoveToMain(Queue::iterator entry) {
  small_bytes_ -= entry->bytes;
  main_bytes_ += entry->bytes;
  entry->in_main = true;
  entry->uses = 0;
  main_.splice(main_.begin(), small_, entry);
}

void EvictionPolicy::RememberGone(const UnitKey& key) {
  if (gone_.insert(key).second) gone_order_.push_back(key);
  while (gone_order_.size() > std::max(entries_.size(), kMinRemembered)) {
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
  }
}

bool EvictionPolicy::SmallQueueIsNext() const {
  return !small_.empty() && (main_.empty() || small_bytes_ * kSmallShare > bytes());
}

}  // namespace s3overlay
