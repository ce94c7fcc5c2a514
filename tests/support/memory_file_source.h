// SPDX-License-Identifier: Apache-2.0
//
// A FileSource in memory that tests can break, gate and count. Thread-safe; outlives the files that it opened.
//
//   MemoryFileSource store("s3://bucket");
//   store.AddFile("a/b", "bytes", "v1");   // makes a/ too
//   store.Fail(ErrorCode::kUnavailable);   // from now on every call fails, cached files excepted
//   store.CloseGate(MemoryFileSource::Call::kRead);   // reads wait until OpenGate, cancellation or their deadline
//
// A file with a share of cached bytes behaves as an S3 object does: its first bytes are read during an outage too, and
// a complete one is looked up in state stale. An outage of List is answered by the last known listing.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "s3overlay/file_source.h"
#include "s3overlay/mutex.h"
#include "support/call_faults.h"
#include "support/listings.h"

namespace s3overlay::testing {

class MemoryFileSource final : public FileSource, public CallFaults {
 public:
  using Call = SourceCall;

  explicit MemoryFileSource(std::string name = "memory://", int lane = 0)
      : CallFaults(name, lane), name_(std::move(name)) {
    AddDirectory("");
  }

  // What is there. Each makes the directories above; an existing name is replaced, and old handles keep the old file.
  void AddFile(const std::string& path, std::string bytes, std::string version = "1", bool immutable = true) {
    AddNode(
        path,
        {.type = FileType::kRegular, .bytes = std::move(bytes), .version = std::move(version), .immutable = immutable});
  }
  void AddDirectory(const std::string& path) { AddNode(path, {.type = FileType::kDirectory}); }
  void AddSymlink(const std::string& path, std::string target) {
    AddNode(path, {.type = FileType::kSymlink, .bytes = std::move(target), .version = "link"});
  }
  void AddFifo(const std::string& path) { AddNode(path, {.type = FileType::kFifo, .version = "fifo"}); }

  // The name and all below it.
  void Remove(const std::string& path) {
    MutexLock lock(mu_);
    std::erase_if(nodes_, [&](const auto& item) { return item.first == path || IsBelow(item.first, path); });
  }

  // Changes a file in place: open handles see it.
  void SetBytes(const std::string& path, std::string bytes) {
    Change(path, [&](Node& n) { n.bytes = bytes; });
  }
  void SetMode(const std::string& path, uint32_t mode) {
    Change(path, [&](Node& n) { n.mode = mode; });
  }
  void SetReadable(const std::string& path, bool readable) {
    Change(path, [&](Node& n) { n.readable = readable; });
  }
  void SetXattr(const std::string& path, const std::string& name, const std::string& value) {
    Change(path, [&](Node& n) { n.xattrs[name] = value; });
  }
  void SetCacheShare(const std::string& path, CacheShare share) {
    Change(path, [&](Node& n) { n.share = share; });
  }
  void SetCachedWhole(const std::string& path) {
    Change(path, [](Node& n) { n.share = {.bytes = n.bytes.size(), .complete = true}; });
  }
  // From now on the file can be passed through: its bytes of now lie in an unlinked temporary file.
  void SetBackingFile(const std::string& path) {
    Change(path, [](Node& n) { n.backing = std::make_shared<BackingFile>(MakeTemporaryFile(n.bytes)); });
  }
  void SetTtl(Duration ttl) {
    MutexLock lock(mu_);
    ttl_ = ttl;
  }
  // Of what is not there.
  void SetAbsenceTtl(Duration ttl) {
    MutexLock lock(mu_);
    absence_ttl_ = ttl;
  }
  void SetSpace(FileSystemSpace space) {
    MutexLock lock(mu_);
    space_ = space;
  }

  int open_files() const {
    MutexLock lock(mu_);
    return open_files_;
  }

  // LastKnown answers what Lookup and List have answered; Remember is as though they had been asked.
  void Remember(const std::string& path) {
    MutexLock lock(mu_);
    if (const auto node = nodes_.find(path); node != nodes_.end()) known_[path] = MakeEntry(path, *node->second);
  }
  // LastKnown fails from now on.
  void LoseMemory() {
    MutexLock lock(mu_);
    memory_fails_ = true;
  }
  void ForgetAll() {
    MutexLock lock(mu_);
    known_.clear();
    known_listings_.clear();
  }

  Result<Entry> Lookup(std::string_view path, const CallContext& context) override {
    const auto passed = Enter(Call::kLookup, path, context);
    MutexLock lock(mu_);
    if (!passed) return StaleOr(path, passed.error());
    auto node = Find(path);
    if (!node) return node.error();
    Entry entry = MakeEntry(path, **node);
    known_.insert_or_assign(std::string(path), entry);
    return entry;
  }

  Duration AbsenceTtl(std::string_view) const override {
    MutexLock lock(mu_);
    return absence_ttl_;
  }

  Result<ListingPtr> List(std::string_view path, const CallContext& context) override {
    const auto passed = Enter(Call::kList, path, context);
    MutexLock lock(mu_);
    if (!passed) return LastListingOr(path, passed.error());
    auto node = Find(path);
    if (!node) return node.error();
    if ((*node)->type != FileType::kDirectory) return Error{.code = ErrorCode::kNotADirectory, .message = name_};
    ListingPtr listing = MakeListing(path);
    known_listings_.insert_or_assign(std::string(path), listing);
    return listing;
  }

  Result<std::string> ReadLink(std::string_view path, const CallContext& context) override {
    S3OVERLAY_RETURN_IF_ERROR(Enter(Call::kReadLink, path, context));
    MutexLock lock(mu_);
    auto node = Find(path);
    if (!node) return node.error();
    if ((*node)->type != FileType::kSymlink) return Error{.code = ErrorCode::kInvalidArgument, .message = "no link"};
    return (*node)->bytes;
  }

  Result<std::shared_ptr<OpenFile>> Open(const Entry& entry, const CallContext& context) override {
    const auto passed = Enter(Call::kOpen, entry.path, context);
    MutexLock lock(mu_);
    if (!passed && !IsCached(entry.path, passed.error().code)) return passed.error();
    auto node = Find(entry.path);
    if (!node) return Error{.code = ErrorCode::kVersionGone, .message = entry.path + " is gone"};
    if ((*node)->type == FileType::kDirectory) return Error{.code = ErrorCode::kIsADirectory, .message = entry.path};
    if ((*node)->version != entry.version) return Error{.code = ErrorCode::kVersionGone, .message = entry.path};
    if (!(*node)->readable) return Error{.code = ErrorCode::kArchived, .message = entry.path};
    return std::shared_ptr<OpenFile>(std::make_shared<MemoryOpenFile>(*this, entry, *node));
  }

  Result<std::optional<Entry>> LastKnown(std::string_view path) const override {
    MutexLock lock(mu_);
    if (memory_fails_) return Error{.code = ErrorCode::kUnavailable, .message = name_ + " does not remember"};
    const auto known = known_.find(path);
    return known == known_.end() ? std::nullopt : std::optional<Entry>(known->second);
  }

  CacheShare GetCacheShare(const Entry& entry) const override {
    MutexLock lock(mu_);
    const auto node = nodes_.find(entry.path);
    return node == nodes_.end() || node->second->version != entry.version ? CacheShare{} : node->second->share;
  }

  Result<std::vector<std::string>> ListXattr(const Entry& entry) override {
    MutexLock lock(mu_);
    auto node = Find(entry.path);
    if (!node) return node.error();
    std::vector<std::string> names;
    for (const auto& [name, value] : (*node)->xattrs) names.push_back(name);
    return names;
  }

  Result<std::string> GetXattr(const Entry& entry, const std::string& name) override {
    MutexLock lock(mu_);
    auto node = Find(entry.path);
    if (!node) return node.error();
    const auto value = (*node)->xattrs.find(name);
    if (value == (*node)->xattrs.end()) return Error{.code = ErrorCode::kNotFound, .message = name};
    return value->second;
  }

  std::optional<FileSystemSpace> GetSpace() const override {
    MutexLock lock(mu_);
    return space_;
  }

  std::string Describe() const override { return name_; }

 private:
  struct Node {
    FileType type = FileType::kRegular;
    std::string bytes = {};  // Of a link: its target.
    std::string version = {};
    bool immutable = true;
    bool readable = true;
    std::optional<uint32_t> mode = {};
    std::map<std::string, std::string> xattrs = {};
    CacheShare share = {};
    std::shared_ptr<BackingFile> backing = {};
  };
  using NodePtr = std::shared_ptr<Node>;

  class MemoryOpenFile final : public OpenFile {
   public:
    MemoryOpenFile(MemoryFileSource& source, Entry entry, NodePtr node) S3OVERLAY_REQUIRES(source.mu_)
        : source_(source), entry_(std::move(entry)), node_(std::move(node)) {
      ++source_.open_files_;
    }
    ~MemoryOpenFile() override {
      MutexLock lock(source_.mu_);
      --source_.open_files_;
    }
    Result<size_t> Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) override {
      const auto passed = source_.Enter(Call::kRead, entry_.path, context);
      MutexLock lock(source_.mu_);
      const uint64_t begin = std::min<uint64_t>(offset, node_->bytes.size());
      const size_t size = std::min<uint64_t>(buffer.size(), node_->bytes.size() - begin);
      if (!passed && (begin + size > node_->share.bytes || !IsOutage(passed.error().code))) return passed.error();
      std::memcpy(buffer.data(), node_->bytes.data() + begin, size);
      return size;
    }
    Result<Entry> GetEntry() const override {
      MutexLock lock(source_.mu_);
      Entry entry = entry_;
      entry.attributes.size = node_->bytes.size();
      return entry;
    }
    std::shared_ptr<BackingFile> GetBackingFile() override {
      MutexLock lock(source_.mu_);
      return node_->backing;
    }

   private:
    MemoryFileSource& source_;
    const Entry entry_;
    const NodePtr node_;
  };

  static bool IsBelow(std::string_view path, std::string_view parent) {
    return parent.empty() || (path.size() > parent.size() && path.starts_with(parent) && path[parent.size()] == '/');
  }

  static UniqueFd MakeTemporaryFile(const std::string& bytes) {
    std::string pattern = std::filesystem::temp_directory_path() / "s3overlay-backing-XXXXXX";
    UniqueFd fd(::mkostemp(pattern.data(), O_CLOEXEC));
    if (!fd.is_open() || ::unlink(pattern.c_str()) != 0) throw std::runtime_error("mkostemp " + pattern);
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("pwrite " + pattern);
    }
    return fd;
  }

  void AddNode(const std::string& path, Node node) {
    MutexLock lock(mu_);
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      nodes_.try_emplace(path.substr(0, slash), std::make_shared<Node>(Node{.type = FileType::kDirectory}));
    }
    nodes_.insert_or_assign(path, std::make_shared<Node>(std::move(node)));
  }

  template <typename F>
  void Change(const std::string& path, F change) {
    MutexLock lock(mu_);
    change(*nodes_.at(path));
  }

  Result<NodePtr> Find(std::string_view path) const S3OVERLAY_REQUIRES(mu_) {
    for (size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
      const auto parent = nodes_.find(path.substr(0, slash));
      if (parent != nodes_.end() && parent->second->type != FileType::kDirectory) {
        return Error{.code = ErrorCode::kNotADirectory, .message = std::string(path)};
      }
    }
    const auto node = nodes_.find(path);
    if (node == nodes_.end()) return Error{.code = ErrorCode::kNotFound, .message = std::string(path)};
    return node->second;
  }

  Entry MakeEntry(std::string_view path, const Node& node) const S3OVERLAY_REQUIRES(mu_) {
    Entry entry;
    entry.attributes = {.type = node.type,
                        .size = node.type == FileType::kDirectory ? 0 : node.bytes.size(),
                        .allocated = node.bytes.size(),
                        .mtime = WallTime(std::chrono::seconds(1'700'000'000)),
                        .mode = node.mode};
    entry.path = path;
    entry.source = name_ + "/" + entry.path;
    entry.version = node.type == FileType::kDirectory ? "" : node.version;
    entry.etag = node.immutable ? entry.version : "";
    entry.immutable = node.immutable;
    entry.readable = node.readable;
    entry.reason = node.readable ? "" : "archived";
    entry.ttl = ttl_;
    return entry;
  }

  ListingPtr MakeListing(std::string_view path) S3OVERLAY_REQUIRES(mu_) {
    std::vector<ListedEntry> entries;
    const std::string prefix = path.empty() ? "" : std::string(path) + "/";
    for (auto item = nodes_.lower_bound(prefix); item != nodes_.end() && item->first.starts_with(prefix); ++item) {
      std::string name = item->first.substr(prefix.size());
      if (name.empty() || name.find('/') != std::string::npos) continue;
      Entry entry = MakeEntry(item->first, *item->second);
      known_.insert_or_assign(item->first, entry);
      entries.push_back({.name = std::move(name), .entry = std::move(entry)});
    }
    return std::make_shared<EntryListing>(std::move(entries), ListingTerms{}, ttl_);
  }

  bool IsCached(std::string_view path, ErrorCode failure) const S3OVERLAY_REQUIRES(mu_) {
    const auto node = nodes_.find(path);
    return IsOutage(failure) && node != nodes_.end() && node->second->share.bytes > 0;
  }

  Result<Entry> StaleOr(std::string_view path, const Error& error) const S3OVERLAY_REQUIRES(mu_) {
    const auto known = known_.find(path);
    if (known == known_.end() || !IsCached(path, error.code) || !nodes_.find(path)->second->share.complete)
      return error;
    Entry entry = known->second;
    entry.state = FileState::kStale;
    entry.reason = error.message;
    return entry;
  }

  Result<ListingPtr> LastListingOr(std::string_view path, const Error& error) const S3OVERLAY_REQUIRES(mu_) {
    const auto known = known_listings_.find(path);
    if (known == known_listings_.end() || !IsOutage(error.code)) return error;
    ListingTerms terms{.degraded = true, .reason = error.message};
    const Duration ttl = known->second->ttl();
    return ListingPtr(std::make_shared<EntryListing>(EntriesOf(*known->second), std::move(terms), ttl));
  }

  const std::string name_;

  mutable Mutex mu_;
  std::map<std::string, NodePtr, std::less<>> nodes_ S3OVERLAY_GUARDED_BY(mu_);
  std::map<std::string, Entry, std::less<>> known_ S3OVERLAY_GUARDED_BY(mu_);
  std::map<std::string, ListingPtr, std::less<>> known_listings_ S3OVERLAY_GUARDED_BY(mu_);
  bool memory_fails_ S3OVERLAY_GUARDED_BY(mu_) = false;
  int open_files_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  Duration ttl_ S3OVERLAY_GUARDED_BY(mu_) = std::chrono::seconds(60);
  Duration absence_ttl_ S3OVERLAY_GUARDED_BY(mu_) = Duration::zero();
  std::optional<FileSystemSpace> space_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
