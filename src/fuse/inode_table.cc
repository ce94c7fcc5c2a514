// SPDX-License-Identifier: Apache-2.0
#include "fuse/inode_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

constexpr Duration kLookupIsRecent = std::chrono::seconds(1);
constexpr Duration kRefusalIsRecent = std::chrono::seconds(10);  // The kernel comes again at once, unless it is busy.

// By path, source and version, or `tail -F` would never see that a file is another one now.
uint64_t InodeNumber(const std::string& path, const Entry& entry, bool is_directory) {
  if (path.empty()) return FUSE_ROOT_ID;
  const uint64_t hash =
      is_directory ? Hash64(path) : Hash64(fmt::format("{}\n{}\n{}", path, entry.source, entry.version));
  return hash > FUSE_ROOT_ID ? hash : hash + 2;  // 0 and the root's are taken.
}

bool IsSameContent(const Entry& a, const Entry& b) { return a.version == b.version && a.source == b.source; }

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace

Node::Node(fuse_ino_t id, std::string path, Entry entry, bool passthrough)
    : id_(id),
      path_(std::move(path)),
      passthrough_(passthrough),
      is_directory_(entry.attributes.type == FileType::kDirectory),
      inode_number_(InodeNumber(path_, entry, is_directory_)),
      entry_(std::make_shared<const Entry>(std::move(entry))) {}

std::shared_ptr<const Entry> Node::entry() const {
  MutexLock lock(mu_);
  return entry_;
}

void Node::SetEntry(Entry entry) {
  auto fresh = std::make_shared<const Entry>(std::move(entry));
  MutexLock lock(mu_);
  entry_.swap(fresh);
}

std::shared_ptr<OpenFile> Node::open_file() const {
  MutexLock lock(mu_);
  for (const auto& each : open_files_) {
    if (auto file = each.lock()) return file;
  }
  return nullptr;
}

std::shared_ptr<const Entry> Node::shown() const {
  MutexLock lock(mu_);
  return other_ != nullptr ? other_ : entry_;
}

bool Node::shows_other() const {
  MutexLock lock(mu_);
  return other_ != nullptr;
}

bool Node::keeps_pages() const {
  MutexLock lock(mu_);
  return entry_->immutable && !showed_other_;
}

bool Node::AddOpenFile(const std::shared_ptr<OpenFile>& file, const Entry& entry) {
  MutexLock lock(mu_);
  // An open costs little on average: those that have been closed go when there would have to be room for more.
  if (open_files_.size() == open_files_.capacity()) {
    std::erase_if(open_files_, [](const auto& each) { return each.expired(); });
    open_files_.reserve(2 * open_files_.size() + 1);
  }
  if (!IsSameContent(other_ != nullptr ? *other_ : *entry_, entry)) {
    const auto is_open = [](const auto& each) { return !each.expired(); };
    if (std::any_of(open_files_.begin(), open_files_.end(), is_open)) return false;
    other_ = IsSameContent(*entry_, entry) ? nullptr : std::make_shared<const Entry>(entry);
    showed_other_ = true;
  }
  open_files_.push_back(file);
  return true;
}

InodeTable::InodeTable(const Clock& clock) : clock_(clock) {
  Entry root;
  root.attributes.type = FileType::kDirectory;
  MutexLock lock(mu_);
  slots_[FUSE_ROOT_ID] = {.node = std::make_shared<Node>(FUSE_ROOT_ID, "", std::move(root), false),
                          .lookups = 1,
                          .looked_up_at = clock_.Now()};
  current_[""] = FUSE_ROOT_ID;
}

NodePtr InodeTable::Find(fuse_ino_t id) const {
  MutexLock lock(mu_);
  const auto slot = slots_.find(id);
  return slot == slots_.end() ? nullptr : slot->second.node;
}

bool InodeTable::IsNodeOf(const Node& node, const Entry& entry, bool passthrough) {
  if (node.is_directory()) return entry.attributes.type == FileType::kDirectory;
  const std::shared_ptr<const Entry> known = node.entry();
  return known->version == entry.version && known->source == entry.source &&
         known->attributes.type == entry.attributes.type && node.passthrough() == passthrough;
}

NodePtr InodeTable::Remember(const std::string& path, const Entry& entry, bool passthrough) {
  MutexLock lock(mu_);
  const auto [current, is_new] = current_.try_emplace(path, 0);
  if (!is_new) {
    Slot& slot = slots_.at(current->second);
    if (IsNodeOf(*slot.node, entry, passthrough)) {
      slot.node->SetEntry(entry);
      ++slot.lookups;
      slot.looked_up_at = clock_.Now();
      return slot.node;
    }
  }
  const fuse_ino_t id = next_id_++;
  current->second = id;
  Slot slot{.node = std::make_shared<Node>(id, path, entry, passthrough), .lookups = 1, .looked_up_at = clock_.Now()};
  return slots_.emplace(id, std::move(slot)).first->second.node;
}

void InodeTable::Forget(fuse_ino_t id, uint64_t lookups) {
  MutexLock lock(mu_);
  const auto slot = slots_.find(id);
  if (slot == slots_.end() || id == FUSE_ROOT_ID) return;
  slot->second.lookups -= std::min(slot->second.lookups, lookups);
  if (slot->second.lookups > 0) return;
  const auto current = current_.find(slot->second.node->path());
  if (current != current_.end() && current->second == id) current_.erase(current);
  slots_.erase(slot);
}

bool InodeTable::RefuseOnce(Slot& slot) const {
  const TimePoint now = clock_.Now();
  if (slot.refused_open_at != TimePoint::min()) {
    // Without a lookup since, nobody came by a name: a descriptor or a bind mount leads here for good.
    const bool by_name = slot.looked_up_at >= slot.refused_open_at;
    if (!by_name || now - slot.refused_open_at < kRefusalIsRecent) return false;
  }
  slot.refused_open_at = now;
  return true;
}

bool InodeTable::ShouldRefuseOpen(const Node& node) {
  MutexLock lock(mu_);
  const auto slot = slots_.find(node.id());
  const auto current = current_.find(node.path());
  if (slot == slots_.end() || (current != current_.end() && current->second == node.id())) return false;
  if (clock_.Now() - slot->second.looked_up_at < kLookupIsRecent) return false;
  return RefuseOnce(slot->second);
}

bool InodeTable::ShouldRefuseGoneVersion(const Node& node) {
  MutexLock lock(mu_);
  const auto slot = slots_.find(node.id());
  return slot != slots_.end() && RefuseOnce(slot->second);
}

size_t InodeTable::size() const {
  MutexLock lock(mu_);
  return slots_.size();
}

bool InodeTable::DentryOf(const Node& node, Dentry* dentry) const {
  if (node.is_directory()) return false;
  const std::string_view path = node.path();
  const auto parent = current_.find(std::string(ParentOf(path)));
  if (parent == current_.end()) return false;
  *dentry = {.parent = parent->second, .name = std::string(path.substr(path.rfind('/') + 1))};
  return true;
}

std::vector<InodeTable::Dentry> InodeTable::Oldest(size_t count) const {
  MutexLock lock(mu_);
  std::vector<const Slot*> idle;
  for (const auto& [id, slot] : slots_) {
    if (!slot.node->is_directory() && slot.node->open_file() == nullptr) idle.push_back(&slot);
  }
  const size_t wanted = std::min(count, idle.size());
  std::nth_element(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(wanted), idle.end(),
                   [](const Slot* a, const Slot* b) { return a->looked_up_at < b->looked_up_at; });
  std::vector<Dentry> oldest;
  for (size_t i = 0; i < wanted; ++i) {
    Dentry dentry;
    if (DentryOf(*idle[i]->node, &dentry)) oldest.push_back(std::move(dentry));
  }
  return oldest;
}

std::vector<InodeTable::Dentry> InodeTable::NotFresh() const {
  MutexLock lock(mu_);
  std::vector<Dentry> found;
  for (const auto& [id, slot] : slots_) {
    const FileState state = slot.node->entry()->state;
    Dentry dentry;
    if ((state == FileState::kDegraded || state == FileState::kStale) && DentryOf(*slot.node, &dentry)) {
      found.push_back(std::move(dentry));
    }
  }
  return found;
}

}  // namespace s3overlay
