// SPDX-License-Identifier: Apache-2.0
#include "s3/breaker_store.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "s3/dates.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

// How often the injected clock is looked at while a probe is awaited.
constexpr Duration kTick = std::chrono::milliseconds(100);

enum class Verdict { kAnswered, kNoAnswer, kSaysNothing };

Verdict Judge(const Result<void>& outcome) {
  if (outcome) return Verdict::kAnswered;
  switch (outcome.error().code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimedOut:
    case ErrorCode::kBadResponse: return Verdict::kNoAnswer;
    case ErrorCode::kNotFound:
    case ErrorCode::kThrottled:
    case ErrorCode::kDenied:
    case ErrorCode::kCredentials:  // Also when nobody was asked: such a call costs no time.
    case ErrorCode::kVersionGone:
    case ErrorCode::kArchived:
    case ErrorCode::kMisconfigured:
    case ErrorCode::kUnsupported: return Verdict::kAnswered;
    case ErrorCode::kNotADirectory:
    case ErrorCode::kIsADirectory:
    case ErrorCode::kWouldBlock:
    case ErrorCode::kCancelled:
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kSystem: return Verdict::kSaysNothing;
  }
  return Verdict::kSaysNothing;
}

}  // namespace

BreakerStore::BreakerStore(std::unique_ptr<ObjectStore> store, BreakerStoreOptions options, const Clock& clock,
                           Metrics& metrics)
    : store_(std::move(store)),
      options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      breaker_(options_.breaker),
      since_(clock.WallNow()),
      thread_([this] { Work(); }) {}

BreakerStore::~BreakerStore() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

Result<ObjectMetadata> BreakerStore::Head(const std::string& bucket, const std::string& key,
                                          const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(Admit(context));
  return Recorded(store_->Head(bucket, key, context));
}

Result<ListPage> BreakerStore::List(const ListRequest& request, const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(Admit(context));
  return Recorded(store_->List(request, context));
}

Result<void> BreakerStore::GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                                    const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(Admit(context));
  bool sink_failed = false;
  bool arrived = false;
  const ByteSink watched = [&](uint64_t offset, std::span<const std::byte> bytes) {
    Result<void> taken = sink(offset, bytes);
    sink_failed = !taken;
    arrived = true;
    return taken;
  };
  Result<void> outcome = store_->GetRange(object, range, watched, context);
  // Bytes were arriving: the sink's error is not the store's, and a slow line is no outage.
  const bool slow = arrived && !outcome && outcome.error().code == ErrorCode::kTimedOut;
  Record(sink_failed || slow ? Result<void>() : outcome);
  return outcome;
}

template <typename T>
Result<T> BreakerStore::Recorded(Result<T> outcome) {
  Record(outcome ? Result<void>() : Result<void>(outcome.error()));
  return outcome;
}

Result<void> BreakerStore::Admit(const CallContext& context) const {
  if (context.deadline.HasPassed(clock_)) return Error{ErrorCode::kTimedOut, "no time was left to ask the store"};
  MutexLock lock(mu_);
  if (breaker_.is_closed()) return {};
  return Error{ErrorCode::kUnavailable, fmt::format("store {} taken to be away since {}: {}", store_->url(),
                                                    s3::FormatIsoDate(since_), reason_)};
}

void BreakerStore::Record(const Result<void>& outcome) {
  const Verdict verdict = Judge(outcome);
  if (verdict == Verdict::kSaysNothing) return;
  const TimePoint now = clock_.Now();
  MutexLock lock(mu_);
  const bool was_closed = breaker_.is_closed();
  if (verdict == Verdict::kAnswered) {
    breaker_.RecordSuccess();
  } else {
    breaker_.RecordFailure(now);
    if (was_closed) reason_ = outcome.error().message;
  }
  if (breaker_.is_closed() == was_closed) return;
  since_ = clock_.WallNow();
  if (was_closed) metrics_.Add(Metric::kBreakerOpened);
  changed_.SignalAll();
}

StatusObject BreakerStore::GetStatus() const {
  MutexLock lock(mu_);
  StatusObject status = {{"url", {store_->url()}},
                         {"breaker", {std::string(BreakerStateName(breaker_.state()))}},
                         {"since", {s3::FormatIsoDate(since_)}}};
  if (!breaker_.is_closed()) status.push_back({"reason", {reason_}});
  return status;
}

void BreakerStore::Work() {
  ::pthread_setname_np(::pthread_self(), "s3-breaker");
  MutexLock lock(mu_);
  while (!stopping_) {
    if (const bool available = breaker_.is_closed(); available != announced_) {
      announced_ = available;
      const std::string reason = reason_;
      lock.Unlock();
      Announce(available, reason);
      lock.Lock();
    } else if (ProbeIsDue()) {
      breaker_.StartProbe();
      lock.Unlock();
      const Result<void> outcome = Probe();
      Record(outcome);
      lock.Lock();
      // Closed by now if the probe was answered.
      breaker_.FailProbe(clock_.Now());
    } else {
      WaitForWork();
    }
  }
}

bool BreakerStore::IsAway() const {
  MutexLock lock(mu_);
  return !breaker_.is_closed();
}

bool BreakerStore::ProbeIsDue() const { return !breaker_.is_closed() && clock_.Now() >= breaker_.next_probe(); }

void BreakerStore::WaitForWork() {
  if (breaker_.is_closed()) {
    changed_.Wait(mu_);
  } else {
    changed_.WaitFor(mu_, std::min(kTick, std::max(Duration(1), breaker_.next_probe() - clock_.Now())));
  }
}

void BreakerStore::Announce(bool available, const std::string& reason) const {
  if (available) {
    log::Info("store {} is back", store_->url());
  } else {
    log::Warning("store {} is taken to be away, and probed until it is back: {}", store_->url(), reason);
  }
  if (options_.on_change) options_.on_change(available);
}

Result<void> BreakerStore::Probe() {
  CallContext context;
  context.deadline = Deadline::After(clock_, options_.probe_timeout);
  context.max_retries = 0;
  context.cancelled = &stopping_;
  ListRequest request;
  request.bucket = options_.probe_bucket;
  request.max_keys = 1;
  const Result<ListPage> page = store_->List(request, context);
  if (page) return {};
  return page.error();
}

}  // namespace s3overlay
