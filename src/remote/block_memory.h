// SPDX-License-Identifier: Apache-2.0
//
// BlockMemory: the one memory budget of all fetching, and the blocks that were fetched lately, which live in it too.
//
// Demand reads may use all of it. Prefetch never takes the last quarter, so that a reader who waits is never kept from
// starting by bytes that nobody has asked for. Blocks that were fetched ahead and not read belong to whom they were
// fetched for; when it is gone they are like any other, and go when room is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <utility>

#include "remote/pinned_object.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay {

// Not thread-safe: its owner's lock guards it. All sizes are bytes. Counts what is in flight and what is kept; a reader
// that is copying a block may hold it a moment longer.
class BlockMemory {
 public:
  // What a block costs beside its bytes while it is kept: its place here, and for a small file the object's identity,
  // which nobody else holds. Else a million files of ten bytes would pass for ten megabytes.
  static constexpr uint64_t kOverhead = 1024;

  // `keep_read`: of blocks that were read, so much stays at most. Less where a cache on disk has them too.
  BlockMemory(uint64_t limit, uint64_t keep_read) : limit_(limit), keep_read_(keep_read) {}

  // Sets `bytes` aside for a part that is about to be fetched, dropping kept blocks for it. False when what is in
  // flight leaves no room.
  bool ReserveDemand(uint64_t bytes);
  bool ReservePrefetch(uint64_t bytes);
  // Gives back what was reserved and did not become a block.
  void Release(uint64_t bytes, bool is_prefetch);

  struct Origin {
    bool is_prefetch = false;     // As its bytes were reserved.
    bool is_unread = false;       // Fetched ahead, and nobody waits for it.
    const void* owner = nullptr;  // Of an unread one: for whom; null where that is gone.
  };
  // Keeps a block, whose bytes are reserved; others go where its overhead finds no room.
  void Keep(const BlockKey& key, SharedBytes block, const Origin& origin);

  // What was fetched ahead for this one waits for nobody any more.
  void Disown(const void* owner);

  struct Taken {
    SharedBytes block;        // None: not here.
    bool was_unread = false;  // This is the first taker of a block fetched ahead.
  };
  Taken Take(const BlockKey& key);
  bool Contains(const BlockKey& key) const { return by_key_.contains(key); }

  // Bytes fetched ahead that went without having been read, since the last call.
  uint64_t TakeWasted() { return std::exchange(wasted_, 0); }

  uint64_t used() const { return demand_ + prefetch_ + kept_read_ + kept_unread_; }
  // Bytes that prefetching may hold, of all owners together.
  uint64_t prefetch_limit() const { return limit_ - limit_ / 4; }

 private:
  struct Node {
    BlockKey key;
    SharedBytes block;
    const void* unread_of = nullptr;  // Who is to read it, and has not yet.
    bool is_unread = false;           // By anybody, and fetched ahead.
  };
  using Nodes = std::list<Node>;  // Last used first.

  bool HasRoom(uint64_t bytes) const { return used() + bytes <= limit_; }
  void DropOldest(Nodes& nodes);
  void MarkRead(Nodes::iterator node, Nodes::iterator before);
  void TrimRead();
  void TrimAll();
  Nodes& ListOf(const Node& node) { return node.unread_of != nullptr ? unread_ : read_; }
  static uint64_t CostOf(const Node& node) { return node.block.size() + kOverhead; }
  uint64_t& CountOf(const Node& node) { return node.unread_of != nullptr ? kept_unread_ : kept_read_; }

  const uint64_t limit_;
  const uint64_t keep_read_;
  uint64_t demand_ = 0;    // Reserved, in flight.
  uint64_t prefetch_ = 0;  // Reserved, in flight.
  uint64_t kept_read_ = 0;
  uint64_t kept_unread_ = 0;
  uint64_t wasted_ = 0;
  Nodes read_;
  Nodes unread_;
  std::unordered_map<BlockKey, Nodes::iterator, BlockKeyHash> by_key_;
};

}  // namespace s3overlay
