// SPDX-License-Identifier: Apache-2.0
#include "remote/listing_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "remote/single_flight.h"
#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

constexpr size_t kMostWalks = 4;
constexpr Duration kOldestWalk = std::chrono::minutes(10);  // What it saw first is as old as that.

}  // namespace

ListingWalk::ListingWalk(ListRequest request, std::optional<Duration> page_timeout, const Clock& clock,
                         Metrics& metrics)
    : page_timeout_(page_timeout),
      clock_(clock),
      began_(clock.Now()),
      request_(std::move(request)),
      builder_(request_.prefix, began_, metrics) {}

Result<void> ListingWalk::GoOn(ObjectStore& store, int max_pages, const CallContext& context) {
  while (true) {
    auto page = NextPage(store, context);
    if (!page) return page.error();
    S3OVERLAY_RETURN_IF_ERROR(builder_.Add(*page));
    ++pages_;
    if (!page->truncated || pages_ == max_pages) return {};
    S3OVERLAY_RETURN_IF_ERROR(Follow(*page));
    if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
  }
}

Result<ListPage> ListingWalk::NextPage(ObjectStore& store, const CallContext& context) const {
  if (!page_timeout_) return store.List(request_, context);
  CallContext limited = context;
  limited.deadline = context.deadline.Min(Deadline::After(clock_, *page_timeout_));
  auto page = store.List(request_, limited);
  if (page || context.deadline.HasPassed(clock_)) return page;
  // Busy is no outage: nothing stands in, and the page has the caller's time.
  if (page.error().code == ErrorCode::kThrottled) return store.List(request_, context);
  // Not the caller's own time-out: who waits for this listing need not try it again.
  if (page.error().code == ErrorCode::kTimedOut) return Error{ErrorCode::kUnavailable, page.error().message};
  return page;
}

Result<void> ListingWalk::Follow(const ListPage& page) {
  if (page.next_token.empty() || !tokens_.insert(Hash64(page.next_token)).second) {
    return Error{ErrorCode::kBadResponse,
                 fmt::format("the listing of s3://{}/{} goes in circles", request_.bucket, request_.prefix)};
  }
  request_.continuation_token = page.next_token;
  return {};
}

void UnfinishedWalks::Put(std::string_view directory, ListingWalk walk) {
  MutexLock lock(mu_);
  DropOldLocked();
  walks_.push_back({.directory = std::string(directory), .walk = std::move(walk), .stopped_at = clock_.Now()});
  while (walks_.size() > kMostWalks || (!walks_.empty() && BytesLocked() > options_.max_bytes)) walks_.pop_front();
}

std::optional<ListingWalk> UnfinishedWalks::Take(std::string_view directory) {
  MutexLock lock(mu_);
  DropOldLocked();
  const auto found = std::ranges::find(walks_, directory, &Unfinished::directory);
  if (found == walks_.end()) return std::nullopt;
  std::optional<ListingWalk> walk(std::move(found->walk));
  walks_.erase(found);
  return walk;
}

void UnfinishedWalks::DropOld() {
  MutexLock lock(mu_);
  DropOldLocked();
}

void UnfinishedWalks::DropOldLocked() {
  const TimePoint now = clock_.Now();
  std::erase_if(walks_, [&](const Unfinished& u) {
    return now - u.stopped_at > options_.longest_pause || now - u.walk.began() > kOldestWalk;
  });
}

uint64_t UnfinishedWalks::BytesLocked() const {
  uint64_t bytes = 0;
  for (const Unfinished& unfinished : walks_) bytes += unfinished.walk.bytes();
  return bytes;
}

}  // namespace s3overlay
