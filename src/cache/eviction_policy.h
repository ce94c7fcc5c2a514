// SPDX-License-Identifier: Apache-2.0
//
// EvictionPolicy: which unit of the cache goes next. S3-FIFO (Yang et al., "FIFO queues are all you need for cache
// eviction", SOSP 2023) weighed by bytes: what is new waits in a small queue (a tenth of the bytes) and leaves by it
// unless it is asked for again; what was asked for again lives in the main queue; what left recently and comes back
// goes straight to the main queue. So one pass over a large file cannot push out what is read again and again.
//
// One reader's requests for neighbouring bytes are one use: touches that follow each other closely count once.
//
// Pure: no threads, no clock, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "cache/object_name.h"

namespace s3overlay {

// A few neighbouring blocks of an object, or all of it.
struct UnitKey {
  static constexpr uint64_t kWholeObject = UINT64_MAX;

  ObjectName object;
  uint64_t unit = 0;

  friend bool operator==(const UnitKey&, const UnitKey&) = default;
};

struct UnitKeyHash {
  size_t operator()(const UnitKey& key) const {
    return ObjectNameHash()(key.object) ^ (key.unit * 0xff51afd7ed558ccdU);
  }
};

class EvictionPolicy {
 public:
  // The unit holds `bytes` now. A unit that is not known yet enters; one of zero bytes is forgotten.
  void Resize(const UnitKey& key, uint64_t bytes);

  // Enters, or moves to, the main queue: a unit that is known to be worth its space.
  void InsertMain(const UnitKey& key, uint64_t bytes);

  void Touch(const UnitKey& key);

  // Forgets the unit, as if it had never been there.
  void Remove(const UnitKey& key);

  // The next unit to go, forgotten here but remembered as gone; nothing where `may_evict` refuses all that is left.
  using MayEvict = std::function<bool(const UnitKey&)>;
  std::optional<UnitKey> TakeVictim(const MayEvict& may_evict);

  void Clear();

  size_t size() const { return entries_.size(); }
  uint64_t bytes() const { return small_bytes_ + main_bytes_; }

 private:
  struct Entry {
    UnitKey key;
    uint64_t bytes = 0;
    uint64_t last_touch = 0;
    uint8_t uses = 0;
    bool in_main = false;
  };
  using Queue = std::list<Entry>;  // Newest first.

  void Insert(const UnitKey& key, uint64_t bytes, bool in_main);
  void Erase(Queue::iterator entry);
  void MoveToMain(Queue::iterator entry);
  void RememberGone(const UnitKey& key);
  bool SmallQueueIsNext() const;
  Queue& QueueOf(const Entry& entry) { return entry.in_main ? main_ : small_; }
  uint64_t& BytesOf(const Entry& entry) { return entry.in_main ? main_bytes_ : small_bytes_; }

  Queue small_;
  Queue main_;
  uint64_t small_bytes_ = 0;
  uint64_t main_bytes_ = 0;
  std::unordered_map<UnitKey, Queue::iterator, UnitKeyHash> entries_;
  std::unordered_set<UnitKey, UnitKeyHash> gone_;
  std::deque<UnitKey> gone_order_;
  uint64_t touches_ = 0;
};

}  // namespace s3overlay
