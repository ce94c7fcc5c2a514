// SPDX-License-Identifier: Apache-2.0
//
// ListingWalk: the pages of one directory's listing, one after the other. A directory of a million keys has a thousand
// of them, which may take longer than a call is allowed to: a walk that was stopped goes on where it was.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "remote/directory_names.h"
#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Not thread-safe. Clock and metrics outlive it.
class ListingWalk {
 public:
  static constexpr int kAllPages = 0;

  // `request`: bucket, prefix and delimiter of the first page. A page that takes longer than `page_timeout` is
  // kUnavailable; the walk may take as long as it is large.
  ListingWalk(ListRequest request, std::optional<Duration> page_timeout, const Clock& clock, Metrics& metrics);

  // Asks for pages until the last one or `max_pages`, counted from the first. After an error it may be called again.
  // kBadResponse where the store's pages are no listing; then it may not.
  Result<void> GoOn(ObjectStore& store, int max_pages, const CallContext& context);

  int pages() const { return pages_; }
  uint64_t bytes() const { return builder_.bytes(); }  // Of memory, about.
  TimePoint began() const { return began_; }

  // Once.
  DirectoryNames Build() { return builder_.Build(); }

 private:
  Result<ListPage> NextPage(ObjectStore& store, const CallContext& context) const;
  Result<void> Follow(const ListPage& page);

  const std::optional<Duration> page_timeout_;
  const Clock& clock_;
  const TimePoint began_;
  ListRequest request_;
  NamesBuilder builder_;
  std::set<uint64_t> tokens_;  // Hashes, as they may be long. A store may answer in circles.
  int pages_ = 0;
};

struct UnfinishedWalksOptions {
  Duration longest_pause;  // What lay longer is not gone on with: it would show as of now what has changed since.
  uint64_t max_bytes;      // Of all.
};

// A few walks that were stopped, until somebody goes on with them. Thread-safe.
class UnfinishedWalks {
 public:
  UnfinishedWalks(UnfinishedWalksOptions options, const Clock& clock) : options_(options), clock_(clock) {}

  void Put(std::string_view directory, ListingWalk walk) S3OVERLAY_EXCLUDES(mu_);
  std::optional<ListingWalk> Take(std::string_view directory) S3OVERLAY_EXCLUDES(mu_);
  void DropOld() S3OVERLAY_EXCLUDES(mu_);

 private:
  struct Unfinished {
    std::string directory;
    ListingWalk walk;
    TimePoint stopped_at;
  };

  void DropOldLocked() S3OVERLAY_REQUIRES(mu_);
  uint64_t BytesLocked() const S3OVERLAY_REQUIRES(mu_);

  const UnfinishedWalksOptions options_;
  const Clock& clock_;

  Mutex mu_;
  std::list<Unfinished> walks_ S3OVERLAY_GUARDED_BY(mu_);  // Stopped longest ago first.
};

}  // namespace s3overlay
