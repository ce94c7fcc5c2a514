// SPDX-License-Identifier: Apache-2.0
#include "remote/block_memory.h"

#include <iterator>
#include <utility>

namespace s3overlay {

bool BlockMemory::ReserveDemand(uint64_t bytes) {
  if (demand_ + prefetch_ + bytes > limit_) return false;
  // What was read goes first down to a quarter, or one random reader would undo every other's prefetch; then what
  // nobody has read.
  while (!HasRoom(bytes) && kept_read_ > limit_ / 4) DropOldest(read_);
  while (!HasRoom(bytes) && !unread_.empty()) DropOldest(unread_);
  while (!HasRoom(bytes) && !read_.empty()) DropOldest(read_);
  demand_ += bytes;
  return true;
}

bool BlockMemory::ReservePrefetch(uint64_t bytes) {
  // Unread blocks are not dropped for more of their kind: that would fetch in circles.
  if (demand_ + prefetch_ + kept_unread_ + bytes > prefetch_limit()) return false;
  while (!HasRoom(bytes) && !read_.empty()) DropOldest(read_);
  prefetch_ += bytes;
  return true;
}

void BlockMemory::Release(uint64_t bytes, bool is_prefetch) { (is_prefetch ? prefetch_ : demand_) -= bytes; }

void BlockMemory::Keep(const BlockKey& key, SharedBytes block, const Origin& origin) {
  Release(block.size(), origin.is_prefetch);
  if (by_key_.contains(key)) {
    wasted_ += origin.is_unread ? block.size() : 0;
    return;
  }
  Node node{.key = key,
            .block = std::move(block),
            .unread_of = origin.is_unread ? origin.owner : nullptr,
            .is_unread = origin.is_unread};
  Nodes& nodes = ListOf(node);
  nodes.push_front(std::move(node));
  CountOf(nodes.front()) += CostOf(nodes.front());
  by_key_.emplace(key, nodes.begin());
  TrimRead();
  TrimAll();
}

BlockMemory::Taken BlockMemory::Take(const BlockKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return {};
  Node& node = *found->second;
  const Taken taken{.block = node.block, .was_unread = std::exchange(node.is_unread, false)};
  MarkRead(found->second, read_.begin());
  TrimRead();
  return taken;
}

void BlockMemory::Disown(const void* owner) {
  for (auto node = unread_.begin(); node != unread_.end();) {
    const auto next = std::next(node);
    if (node->unread_of == owner) MarkRead(node, read_.end());
    node = next;
  }
  TrimRead();
}

// Among what was read: at its begin the last to go, at its end the first.
void BlockMemory::MarkRead(Nodes::iterator node, Nodes::iterator before) {
  CountOf(*node) -= CostOf(*node);
  Nodes& from = ListOf(*node);
  node->unread_of = nullptr;
  CountOf(*node) += CostOf(*node);
  read_.splice(before, from, node);
}

void BlockMemory::TrimRead() {
  while (kept_read_ > keep_read_) DropOldest(read_);
}

// What is in flight fits the limit, but the overhead of what was kept since was not set aside for it.
void BlockMemory::TrimAll() {
  while (!HasRoom(0) && !read_.empty()) DropOldest(read_);
  while (!HasRoom(0) && !unread_.empty()) DropOldest(unread_);
}

void BlockMemory::DropOldest(Nodes& nodes) {
  const Node& node = nodes.back();
  CountOf(node) -= CostOf(node);
  wasted_ += node.is_unread ? node.block.size() : 0;
  by_key_.erase(node.key);
  nodes.pop_back();
}

}  // namespace s3overlay
