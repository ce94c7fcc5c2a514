// SPDX-License-Identifier: Apache-2.0
#include "remote/block_memory.h"

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
  if (demand_ + prefetch_ + kept_unread_ + bytes > limit_ - limit_ / 4) return false;
  while (!HasRoom(bytes) && !read_.empty()) DropOldest(read_);
  prefetch_ += bytes;
  return true;
}

void BlockMemory::Release(uint64_t bytes, bool is_prefetch) { (is_prefetch ? prefetch_ : demand_) -= bytes; }

void BlockMemory::Keep(const BlockKey& key, BlockPtr block, bool is_prefetch, bool unread) {
  Release(block->size(), is_prefetch);
  if (by_key_.contains(key)) return;
  Node node{.key = key, .block = std::move(block), .unread = unread};
  Nodes& nodes = ListOf(node);
  CountOf(node) += node.block->size();
  nodes.push_front(std::move(node));
  by_key_.emplace(key, nodes.begin());
}

BlockMemory::Taken BlockMemory::Take(const BlockKey& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return {};
  Node& node = *found->second;
  const bool was_unread = node.unread;
  CountOf(node) -= node.block->size();
  Nodes& from = ListOf(node);
  node.unread = false;
  CountOf(node) += node.block->size();
  read_.splice(read_.begin(), from, found->second);
  return {.block = node.block, .was_unread = was_unread};
}

void BlockMemory::DropOldest(Nodes& nodes) {
  const Node& node = nodes.back();
  CountOf(node) -= node.block->size();
  by_key_.erase(node.key);
  nodes.pop_back();
}

}  // namespace s3overlay
