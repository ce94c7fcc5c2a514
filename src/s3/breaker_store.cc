// SPDX-License-Identifier: Apache-2.0
#include "s3/breaker_store.h"

#include <fmt/chrono.h>
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

// So many bytes of an answer are a word of the store's. Within the silence that opens the breaker that is just more
// than the transport's least rate: what trickles more slowly says nothing.
constexpr uint64_t kBytesOfWord = 4096;

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

// A call that the store has not answered yet.
class BreakerStore::Wait {
 public:
  explicit Wait(BreakerStore& store) : store_(store) {}
  ~Wait() {
    MutexLock lock(store_.mu_);
    store_.silence_.EndCall(store_.clock_.Now());
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

 private:
  BreakerStore& store_;
};

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
  return Ask<ObjectMetadata>(context, [&](const CallContext& inner) { return store_->Head(bucket, key, inner); });
}

Result<ListPage> BreakerStore::List(const ListRequest& request, const CallContext& context) {
  return Ask<ListPage>(context, [&](const CallContext& inner) { return store_->List(request, inner); });
}

Result<void> BreakerStore::GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                                    const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(Admit(context));
  const Wait wait(*this);
  bool sink_failed = false;
  bool arrived = false;
  const ByteSink watched = [&](uint64_t offset, std::span<const std::byte> bytes) {
    NoteBytes(bytes.size());
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

// Of all answers together: many that are slow are no silence.
void BreakerStore::NoteBytes(uint64_t count) {
  if (unnoted_bytes_.fetch_add(count, std::memory_order_relaxed) + count < kBytesOfWord) return;
  unnoted_bytes_.store(0, std::memory_order_relaxed);
  bytes_came_at_.store(clock_.Now().time_since_epoch().count(), std::memory_order_relaxed);
}

// A call that ends as soon as the store is taken to be away.
template <typename T, typename Call>
Result<T> BreakerStore::Ask(const CallContext& context, const Call& call) {
  S3OVERLAY_RETURN_IF_ERROR(Admit(context));
  const Wait wait(*this);
  CallContext inner = context;
  inner.hopeless = &away_;
  Result<T> outcome = call(inner);
  Record(outcome ? Result<void>() : Result<void>(outcome.error()));
  if (outcome || outcome.error().code != ErrorCode::kCancelled || context.IsCancelled()) return outcome;
  MutexLock lock(mu_);
  return AwayError();
}

Result<void> BreakerStore::Admit(const CallContext& context) {
  const TimePoint now = clock_.Now();
  if (context.deadline.at() <= now) return Error{ErrorCode::kTimedOut, "no time was left to ask the store"};
  MutexLock lock(mu_);
  if (!breaker_.is_closed()) return AwayError();
  silence_.BeginCall(now);
  if (idle_) changed_.SignalAll();
  return {};
}

Error BreakerStore::AwayError() const {
  return {ErrorCode::kUnavailable,
          fmt::format("store {} taken to be away since {}: {}", store_->url(), s3::FormatIsoDate(since_), reason_)};
}

void BreakerStore::Record(const Result<void>& outcome) {
  MutexLock lock(mu_);
  Learn(outcome);
}

void BreakerStore::Learn(const Result<void>& outcome) {
  const Verdict verdict = Judge(outcome);
  if (verdict == Verdict::kSaysNothing) return;
  const bool was_closed = breaker_.is_closed();
  if (verdict == Verdict::kAnswered) {
    silence_.Hear(clock_.Now());
    breaker_.RecordSuccess();
  } else {
    breaker_.RecordFailure(clock_.Now());
    if (was_closed) reason_ = outcome.error().message;
  }
  if (breaker_.is_closed() != was_closed) OnChange();
}

void BreakerStore::OnChange() {
  away_ = !breaker_.is_closed();
  since_ = clock_.WallNow();
  if (away_) metrics_.Add(Metric::kBreakerOpened);
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
  while (true) {
    switch (NextTask()) {
      case Task::kStop: return;
      case Task::kAnnounce: Announce(); break;
      case Task::kProbe: ProbeWhetherItIsBack(); break;
      case Task::kBreakSilence: ProbeWhetherItIsThere(); break;
    }
  }
}

BreakerStore::Task BreakerStore::NextTask() {
  MutexLock lock(mu_);
  while (!stopping_) {
    if (breaker_.is_closed() != announced_) return Task::kAnnounce;
    if (ProbeIsDue()) return Task::kProbe;
    if (SilenceIsLong()) return Task::kBreakSilence;
    WaitForWork();
  }
  return Task::kStop;
}

bool BreakerStore::IsAway() const {
  MutexLock lock(mu_);
  return !breaker_.is_closed();
}

bool BreakerStore::ProbeIsDue() const { return !breaker_.is_closed() && clock_.Now() >= breaker_.next_probe(); }

bool BreakerStore::SilenceIsLong() {
  silence_.Hear(TimePoint(Duration(bytes_came_at_.load(std::memory_order_relaxed))));
  const TimePoint now = clock_.Now();
  return breaker_.is_closed() && now >= next_look_ && silence_.Silence(now) >= options_.silence.patience;
}

// Callers wake the thread only where it would sleep for ever, so that a busy store costs nobody a wake-up.
void BreakerStore::WaitForWork() {
  if (!breaker_.is_closed() || silence_.is_awaited(clock_.Now())) {
    changed_.WaitFor(mu_, kTick);
    return;
  }
  idle_ = true;
  changed_.Wait(mu_);
  idle_ = false;
}

void BreakerStore::Announce() {
  bool available = true;
  std::string reason;
  {
    MutexLock lock(mu_);
    available = announced_ = breaker_.is_closed();
    reason = reason_;
  }
  if (available) {
    log::Info("store {} is back", store_->url());
  } else {
    log::Warning("store {} is taken to be away, and probed until it is back: {}", store_->url(), reason);
  }
  if (options_.on_change) options_.on_change(available);
}

void BreakerStore::ProbeWhetherItIsBack() {
  {
    MutexLock lock(mu_);
    breaker_.StartProbe();
  }
  const Result<void> outcome = Probe(options_.probe_timeout);
  MutexLock lock(mu_);
  Learn(outcome);
  // Closed by now if the probe was answered.
  breaker_.FailProbe(clock_.Now());
}

// Who waits may wait for one slow answer. So the store is asked something that is quick to answer.
void BreakerStore::ProbeWhetherItIsThere() {
  const Result<void> outcome = Probe(options_.silence_probe_timeout);
  MutexLock lock(mu_);
  const TimePoint now = clock_.Now();
  next_look_ = now + options_.silence.patience;
  Learn(outcome);
  silence_.Hear(TimePoint(Duration(bytes_came_at_.load(std::memory_order_relaxed))));
  if (outcome || !breaker_.is_closed() || silence_.Silence(now) < options_.silence.limit) return;
  reason_ = fmt::format("no answer to anything for {:%Q} s: {}",
                        std::chrono::floor<std::chrono::seconds>(silence_.Silence(now)), outcome.error().message);
  breaker_.RecordSilence(now);
  OnChange();
}

Result<void> BreakerStore::Probe(Duration timeout) {
  CallContext context;
  context.deadline = Deadline::After(clock_, timeout);
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
