// SPDX-License-Identifier: Apache-2.0
#include "fuse/inode_table.h"

#include <algorithm>
#include <utility>

#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

constexpr Duration kLookupIsRecent = std::chrono::seconds(1);
constexpr Duration kRefusalIsRecent = std::chrono::seconds(10);  // The kernel comes again at once, unless it is busy.

bool IsDirectory(const Entry& entry) { return entry.attributes.type == FileType::kDirectory; }

bool IsFleeting(const Entry& entry) { return entry.state == FileState::kDegraded || entry.state == FileState::kStale; }

bool IsSameContent(const Entry& a, const Entry& b) { return a.version == b.version && a.source == b.source; }

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view NameIn(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

uint64_t InodeNumber(std::string_view path, const Entry& entry) {
  if (path.empty()) return FUSE_ROOT_ID;
  std::string identity;
  identity.reserve(path.size() + entry.source.size() + entry.version.size() + 2);
  identity.append(path);
  if (!IsDirectory(entry)) identity.append("\n").append(entry.source).append("\n").append(entry.version);
  const uint64_t hash = Hash64(identity);
  return hash > FUSE_ROOT_ID ? hash : hash + 2;  // 0 and the root's are taken.
}

Node::Node(fuse_ino_t id, std::string path, Entry entry, bool passthrough)
    : id_(id),
      path_(std::move(path)),
      passthrough_(passthrough),
      is_directory_(IsDirectory(entry)),
      inode_number_(InodeNumber(path_, entry)),
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
  Slot& slot = slots_[FUSE_ROOT_ID];
  slot = {.node = std::make_shared<Node>(FUSE_ROOT_ID, "", std::move(root), false),
          .lookups = 1,
          .looked_up_at = clock_.Now()};
  current_[slot.node->path()] = &slot;
}

NodePtr InodeTable::Find(fuse_ino_t id) const {
  MutexLock lock(mu_);
  const auto slot = slots_.find(id);
  return slot == slots_.end() ? nullptr : slot->second.node;
}

bool InodeTable::IsNodeOf(const Node& node, const Entry& entry, bool passthrough) {
  if (node.is_directory()) return IsDirectory(entry);
  const std::shared_ptr<const Entry> known = node.entry();
  return IsSameContent(*known, entry) && known->attributes.type == entry.attributes.type &&
         node.passthrough() == passthrough;
}

NodePtr InodeTable::Remember(std::string path, Entry entry, bool passthrough) {
  const bool is_fleeting = IsFleeting(entry);
  MutexLock lock(mu_);
  Slot* const known = CurrentAt(path);
  NodePtr node;
  if (known != nullptr && IsNodeOf(*known->node, entry, passthrough)) {
    node = known->node;
    node->SetEntry(std::move(entry));
    ++known->lookups;
    Touch(*known);
  } else {
    if (known != nullptr) current_.erase(path);
    node = MakeNode(std::move(path), std::move(entry), passthrough);
  }
  if (is_fleeting) {
    not_fresh_.insert(node->id());
  } else if (!not_fresh_.empty()) {
    not_fresh_.erase(node->id());
  }
  return node;
}

InodeTable::Slot* InodeTable::CurrentAt(std::string_view path) const {
  const auto current = current_.find(path);
  return current == current_.end() ? nullptr : current->second;
}

bool InodeTable::IsCurrent(const Slot& slot) const { return CurrentAt(slot.node->path()) == &slot; }

void InodeTable::Touch(Slot& slot) {
  slot.looked_up_at = clock_.Now();
  ages_.splice(ages_.end(), ages_, slot.age);
}

NodePtr InodeTable::MakeNode(std::string path, Entry entry, bool passthrough) {
  const fuse_ino_t id = next_id_++;
  NodePtr node = std::make_shared<Node>(id, std::move(path), std::move(entry), passthrough);
  const Slot* const parent = CurrentAt(ParentOf(node->path()));
  Slot& slot = slots_[id];
  slot = {.node = node,
          .lookups = 1,
          .looked_up_at = clock_.Now(),
          .parent = parent == nullptr ? 0 : parent->node->id(),
          .age = ages_.insert(ages_.end(), id)};
  current_[node->path()] = &slot;
  return node;
}

void InodeTable::Forget(fuse_ino_t id, uint64_t lookups) {
  MutexLock lock(mu_);
  const auto found = slots_.find(id);
  if (found == slots_.end() || id == FUSE_ROOT_ID) return;
  Slot& slot = found->second;
  slot.lookups -= std::min(slot.lookups, lookups);
  if (slot.lookups > 0) return;
  if (IsCurrent(slot)) current_.erase(slot.node->path());
  not_fresh_.erase(id);
  ages_.erase(slot.age);
  slots_.erase(found);
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
  if (slot == slots_.end() || IsCurrent(slot->second)) return false;
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

InodeTable::Dentry InodeTable::DentryOf(const Slot& slot) {
  return {.parent = slot.parent, .name = std::string(NameIn(slot.node->path()))};
}

std::vector<InodeTable::Candidate> InodeTable::TakeOldest(size_t count) {
  MutexLock lock(mu_);
  std::vector<Candidate> oldest;
  for (size_t left = std::min(count, ages_.size()); left > 0; --left) {
    const fuse_ino_t id = ages_.front();
    ages_.splice(ages_.end(), ages_, ages_.begin());
    const Slot& slot = slots_.at(id);
    const bool has_name = IsCurrent(slot);
    oldest.push_back({.id = id,
                      .dentry = DentryOf(slot),
                      .path = slot.node->path(),
                      .is_idle_file = has_name && !slot.node->is_directory() && slot.node->open_file() == nullptr});
  }
  return oldest;
}

std::vector<InodeTable::Dentry> InodeTable::NotFresh() const {
  MutexLock lock(mu_);
  std::vector<Dentry> found;
  for (const fuse_ino_t id : not_fresh_) {
    const Slot& slot = slots_.at(id);
    if (!slot.node->is_directory()) found.push_back(DentryOf(slot));
  }
  return found;
}

}  // namespace s3overlay
