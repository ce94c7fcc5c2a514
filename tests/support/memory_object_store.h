// SPDX-License-Identifier: Apache-2.0
//
// An ObjectStore in memory that tests can break, gate and count. Thread-safe; outlives the calls.
//
//   MemoryObjectStore store;
//   store.Put("b", "dir/a", "bytes");               // the answer is the object's identity; a new ETag each time
//   store.Fail(ErrorCode::kUnavailable);            // every call, until Heal
//   store.FailNext(2, ErrorCode::kUnavailable);     // the next two calls
//   store.CloseGate(Call::kGet, 256 * 1024);        // GETs stop before that byte of the object until OpenGate
//
// A gated call ends by its deadline or cancellation, as the contract asks.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "s3overlay/hash.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"

namespace s3overlay::testing {

class MemoryObjectStore final : public ObjectStore {
 public:
  enum class Call { kHead, kList, kGet, kCount };

  explicit MemoryObjectStore(std::string url = "memory://store") : url_(std::move(url)) {}

  ObjectId Put(const std::string& bucket, const std::string& key, std::string bytes) {
    MutexLock lock(mu_);
    ++versions_;
    const WallTime modified(std::chrono::seconds(1'700'000'000 + versions_));
    ObjectMetadata metadata;
    metadata.id = {.store = url_,
                   .bucket = bucket,
                   .key = key,
                   .etag = Hash64Hex(bytes + std::to_string(versions_)),
                   .size = bytes.size(),
                   .version_id = {},
                   .last_modified = modified};
    metadata.last_modified = modified;
    objects_[{bucket, key}] = {metadata, std::move(bytes)};
    return metadata.id;
  }
  void Delete(const std::string& bucket, const std::string& key) {
    MutexLock lock(mu_);
    objects_.erase({bucket, key});
  }
  void SetArchived(const std::string& bucket, const std::string& key, bool archived) {
    MutexLock lock(mu_);
    if (const auto found = objects_.find({bucket, key}); found != objects_.end()) {
      found->second.metadata.archived = archived;
      found->second.metadata.storage_class = archived ? "GLACIER" : "";
    }
  }
  // The store's own limit of keys in a page, whatever is asked for.
  void SetPageLimit(int keys) {
    MutexLock lock(mu_);
    page_limit_ = keys;
  }
  // From now on every page's next_token leads to the first page, as a broken store's may.
  void RepeatTokens() {
    MutexLock lock(mu_);
    repeat_tokens_ = true;
  }
  // Bytes in one call of a GET's sink.
  void SetChunk(size_t bytes) {
    MutexLock lock(mu_);
    chunk_ = bytes;
  }

  void Fail(ErrorCode code) {
    MutexLock lock(mu_);
    failures_.fill(code);
  }
  void FailCall(Call call, ErrorCode code) {
    MutexLock lock(mu_);
    failures_[Index(call)] = code;
  }
  void FailNext(int calls, ErrorCode code) {
    MutexLock lock(mu_);
    fail_next_ = calls;
    fail_next_code_ = code;
  }
  // Lists of a whole page, and not those of a few keys.
  void FailPages(ErrorCode code) {
    MutexLock lock(mu_);
    fail_pages_ = code;
  }
  void Heal() {
    MutexLock lock(mu_);
    fail_pages_.reset();
    failures_.fill(std::nullopt);
    fail_next_ = 0;
  }

  // While closed, calls of that kind wait; a GET first delivers what lies before byte `at` of the object, and one that
  // ends before it passes.
  void CloseGate(Call call, uint64_t at = 0) {
    MutexLock lock(mu_);
    gates_[Index(call)] = at;
  }
  void OpenGate(Call call) {
    MutexLock lock(mu_);
    gates_[Index(call)].reset();
    changed_.SignalAll();
  }
  // The calls that wait at the gate now fail, as when a connection breaks.
  void CutBlocked(Call call, ErrorCode code) {
    MutexLock lock(mu_);
    ++cuts_[Index(call)];
    cut_code_ = code;
    changed_.SignalAll();
  }
  // Returns when that many calls wait at the gate; false if they do not come within 20 s.
  bool WaitUntilBlocked(Call call, int calls = 1) {
    const Deadline limit = Deadline::After(clock_, std::chrono::seconds(20));
    MutexLock lock(mu_);
    while (blocked_[Index(call)] < calls) {
      if (limit.HasPassed(clock_)) return false;
      changed_.WaitFor(mu_, std::chrono::milliseconds(5));
    }
    return true;
  }

  int heads() const { return Count(Call::kHead); }
  int lists() const { return Count(Call::kList); }
  int gets() const { return Count(Call::kGet); }
  int requests() const { return heads() + lists() + gets(); }
  // The ranges of all GETs, in the order in which they came.
  std::vector<ByteRange> ranges() const {
    MutexLock lock(mu_);
    return ranges_;
  }

  Result<ObjectMetadata> Head(const std::string& bucket, const std::string& key, const CallContext& context) override {
    MutexLock lock(mu_);
    S3OVERLAY_RETURN_IF_ERROR(Enter(Call::kHead, context));
    const auto found = objects_.find({bucket, key});
    if (found == objects_.end()) return Missing(key);
    return found->second.metadata;
  }

  Result<ListPage> List(const ListRequest& request, const CallContext& context) override {
    MutexLock lock(mu_);
    S3OVERLAY_RETURN_IF_ERROR(Enter(Call::kList, context));
    if (fail_pages_ && request.max_keys >= 1000) return Error{*fail_pages_, "told to fail"};
    ListPage page;
    const size_t limit = static_cast<size_t>(std::min(request.max_keys, page_limit_));
    std::string last = request.continuation_token;
    for (auto at = objects_.lower_bound({request.bucket, request.prefix}); at != objects_.end(); ++at) {
      const auto& [bucket, key] = at->first;
      if (bucket != request.bucket || !key.starts_with(request.prefix)) break;
      const std::string item = ItemOf(key, request);
      if (key <= last || key <= request.start_after) continue;
      if (page.objects.size() + page.common_prefixes.size() == limit) {
        page.truncated = true;
        page.next_token = repeat_tokens_ ? "\x01" : last;
        break;
      }
      const bool folded = IsFolded(key, request);
      if (!folded) {
        page.objects.push_back(at->second.metadata);
      } else {
        page.common_prefixes.push_back(item);
      }
      last = folded ? item + "\xff" : key;  // Past all that the common prefix stands for.
    }
    return page;
  }

  Result<void> GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                        const CallContext& context) override {
    std::string bytes;
    size_t chunk = 0;
    {
      MutexLock lock(mu_);
      ++counts_[Index(Call::kGet)];
      ranges_.push_back(range);
      S3OVERLAY_RETURN_IF_ERROR(Failure(Call::kGet));
      const auto found = FindPinned(object, range);
      if (!found) return found.error();
      bytes = (*found)->bytes.substr(range.offset, range.size);
      chunk = chunk_;
    }
    for (size_t at = 0; at < bytes.size(); at += chunk) {
      const std::string piece = bytes.substr(at, chunk);
      if (context.IsCancelled()) return Error{.code = ErrorCode::kCancelled, .message = "cancelled"};
      {
        MutexLock lock(mu_);
        S3OVERLAY_RETURN_IF_ERROR(Pass(Call::kGet, range.offset + at + piece.size(), context));
      }
      S3OVERLAY_RETURN_IF_ERROR(sink(range.offset + at, std::as_bytes(std::span(piece))));
    }
    return {};
  }

  std::string url() const override { return url_; }

  // As a breaker above it would say; calls go through all the same.
  void SetAway(bool away) { away_ = away; }
  bool IsAway() const override { return away_; }

 private:
  struct Object {
    ObjectMetadata metadata;
    std::string bytes;
  };

  static size_t Index(Call call) { return static_cast<size_t>(call); }
  static Error Missing(const std::string& key) { return {.code = ErrorCode::kNotFound, .message = key}; }

  // What a listing shows of a key: itself, or a common prefix. A key that is one ("dir/") is folded like all others.
  static std::string ItemOf(const std::string& key, const ListRequest& request) {
    if (request.delimiter.empty()) return key;
    const size_t slash = key.find(request.delimiter, request.prefix.size());
    return slash == std::string::npos ? key : key.substr(0, slash + 1);
  }

  static bool IsFolded(const std::string& key, const ListRequest& request) {
    return !request.delimiter.empty() && key.find(request.delimiter, request.prefix.size()) != std::string::npos;
  }

  // If-Match where there is a strong ETag to match; else the time.
  static bool IsSameVersion(const ObjectId& now, const ObjectId& pinned) {
    if (now.size != pinned.size) return false;
    return HasStrongEtag(pinned) ? now.etag == pinned.etag : now.last_modified == pinned.last_modified;
  }

  Result<const Object*> FindPinned(const ObjectId& pinned, ByteRange range) const S3OVERLAY_REQUIRES(mu_) {
    if (range.empty() || range.end() < range.offset || range.end() > pinned.size) {
      return Error{.code = ErrorCode::kInvalidArgument, .message = pinned.key};
    }
    const Error gone{.code = ErrorCode::kVersionGone, .message = pinned.key};
    const auto found = objects_.find({pinned.bucket, pinned.key});
    if (found == objects_.end()) return gone;
    if (found->second.metadata.archived) return Error{.code = ErrorCode::kArchived, .message = pinned.key};
    if (!IsSameVersion(found->second.metadata.id, pinned)) return gone;
    return &found->second;
  }

  int Count(Call call) const {
    MutexLock lock(mu_);
    return counts_[Index(call)];
  }

  Result<void> Failure(Call call) S3OVERLAY_REQUIRES(mu_) {
    std::optional<ErrorCode> code = failures_[Index(call)];
    if (fail_next_ > 0) {
      --fail_next_;
      code = fail_next_code_;
    }
    if (code) return Error{.code = *code, .message = "made to fail"};
    return {};
  }

  Result<void> Enter(Call call, const CallContext& context) S3OVERLAY_REQUIRES(mu_) {
    ++counts_[Index(call)];
    S3OVERLAY_RETURN_IF_ERROR(Failure(call));
    return Pass(call, 1, context);
  }

  // Waits while the gate is closed before byte `end`.
  Result<void> Pass(Call call, uint64_t end, const CallContext& context) S3OVERLAY_REQUIRES(mu_) {
    const auto closed = [&]() S3OVERLAY_REQUIRES(mu_) { return gates_[Index(call)] && end > *gates_[Index(call)]; };
    if (!closed()) return {};
    ++blocked_[Index(call)];
    const int cuts = cuts_[Index(call)];
    std::optional<ErrorCode> end_of_wait;
    while (closed() && !end_of_wait) {
      if (context.IsCancelled()) end_of_wait = ErrorCode::kCancelled;
      if (context.deadline.HasPassed(clock_)) end_of_wait = ErrorCode::kTimedOut;
      if (cuts != cuts_[Index(call)]) end_of_wait = cut_code_;
      if (!end_of_wait) changed_.WaitFor(mu_, std::chrono::milliseconds(5));
    }
    --blocked_[Index(call)];
    if (end_of_wait) return Error{.code = *end_of_wait, .message = "at the gate"};
    return {};
  }

  std::atomic<bool> away_ = false;
  const std::string url_;
  const SystemClock clock_;

  mutable Mutex mu_;
  CondVar changed_;
  std::map<std::pair<std::string, std::string>, Object> objects_ S3OVERLAY_GUARDED_BY(mu_);
  int versions_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  int page_limit_ S3OVERLAY_GUARDED_BY(mu_) = 1000;
  size_t chunk_ S3OVERLAY_GUARDED_BY(mu_) = 16 * 1024;
  bool repeat_tokens_ S3OVERLAY_GUARDED_BY(mu_) = false;
  std::array<std::optional<ErrorCode>, 3> failures_ S3OVERLAY_GUARDED_BY(mu_);
  std::array<std::optional<uint64_t>, 3> gates_ S3OVERLAY_GUARDED_BY(mu_);
  std::array<int, 3> counts_ S3OVERLAY_GUARDED_BY(mu_) = {};
  std::array<int, 3> blocked_ S3OVERLAY_GUARDED_BY(mu_) = {};
  std::array<int, 3> cuts_ S3OVERLAY_GUARDED_BY(mu_) = {};
  ErrorCode cut_code_ S3OVERLAY_GUARDED_BY(mu_) = ErrorCode::kUnavailable;
  int fail_next_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  ErrorCode fail_next_code_ S3OVERLAY_GUARDED_BY(mu_) = ErrorCode::kUnavailable;
  std::optional<ErrorCode> fail_pages_ S3OVERLAY_GUARDED_BY(mu_);
  std::vector<ByteRange> ranges_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay::testing
