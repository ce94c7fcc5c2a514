// SPDX-License-Identifier: Apache-2.0
//
// BreakerStore: an ObjectStore that stops asking one which does not answer, and looks on its own whether it is back, so
// that reads fall back at once instead of after their deadline.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "s3/circuit_breaker.h"
#include "s3/silence_watch.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

struct BreakerStoreOptions {
  std::string probe_bucket;  // A LIST of one key of it is the probe; a denial is an answer too.
  CircuitBreakerOptions breaker{};
  SilenceOptions silence{};
  Duration probe_timeout = std::chrono::seconds(5);          // Of an open breaker.
  Duration silence_probe_timeout = std::chrono::seconds(3);  // Of a closed one, while callers wait.
  // Called on the probing thread after each change, in order, with no lock held. May be empty. It must not destroy the
  // store.
  std::function<void(bool available)> on_change{};
};

// Thread-safe. Clock and metrics outlive it. The destructor cancels a probe under way and ends the thread; calls must
// have ended by then.
//
// Counts as an outage: kUnavailable, kBadResponse, and kTimedOut where no byte arrived. Everything else that the store
// says is an answer. A call whose deadline has passed before it is sent is no evidence of anything.
//
// Where callers wait and the store says nothing at all, or lets bytes trickle, a probe is sent beside them; if that
// fails too, and the silence has lasted, the store is away. Then Head and List of who still waits fail at once, as
// those fail that come later: a silent store costs its callers a few seconds, not a deadline each. A GetRange goes on
// until its own deadline: nothing can stand in for it.
class BreakerStore final : public ObjectStore, public StatusSource {
 public:
  BreakerStore(std::unique_ptr<ObjectStore> store, BreakerStoreOptions options, const Clock& clock, Metrics& metrics);
  ~BreakerStore() override;
  BreakerStore(const BreakerStore&) = delete;
  BreakerStore& operator=(const BreakerStore&) = delete;

  Result<ObjectMetadata> Head(const std::string& bucket, const std::string& key, const CallContext& context) override;
  Result<ListPage> List(const ListRequest& request, const CallContext& context) override;
  Result<void> GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                        const CallContext& context) override;
  std::string url() const override { return store_->url(); }
  bool IsAway() const override S3OVERLAY_EXCLUDES(mu_);

  // {url, breaker: "closed|open|half-open", since, reason}
  StatusObject GetStatus() const override S3OVERLAY_EXCLUDES(mu_);

 private:
  class Wait;

  // What the store's own thread does next.
  enum class Task { kStop, kAnnounce, kProbe, kBreakSilence };

  // The error to answer with at once; nothing when the call may go through, which a Wait then ends.
  Result<void> Admit(const CallContext& context) S3OVERLAY_EXCLUDES(mu_);
  void Record(const Result<void>& outcome) S3OVERLAY_EXCLUDES(mu_);
  void NoteBytes(uint64_t count);
  template <typename T, typename Call>
  Result<T> Ask(const CallContext& context, const Call& call);
  void Learn(const Result<void>& outcome) S3OVERLAY_REQUIRES(mu_);
  void OnChange() S3OVERLAY_REQUIRES(mu_);
  Error AwayError() const S3OVERLAY_REQUIRES(mu_);

  void Work() S3OVERLAY_EXCLUDES(mu_);
  Task NextTask() S3OVERLAY_EXCLUDES(mu_);
  void WaitForWork() S3OVERLAY_REQUIRES(mu_);
  bool ProbeIsDue() const S3OVERLAY_REQUIRES(mu_);
  bool SilenceIsLong() S3OVERLAY_REQUIRES(mu_);
  void Announce() S3OVERLAY_EXCLUDES(mu_);
  void ProbeWhetherItIsBack() S3OVERLAY_EXCLUDES(mu_);
  void ProbeWhetherItIsThere() S3OVERLAY_EXCLUDES(mu_);
  Result<void> Probe(Duration timeout);

  const std::unique_ptr<ObjectStore> store_;
  const BreakerStoreOptions options_;
  const Clock& clock_;
  Metrics& metrics_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> away_{false};                // The breaker is not closed; for calls under way.
  std::atomic<Duration::rep> bytes_came_at_{0};  // Bytes of answers that were more than a trickle, in the clock's time.
  std::atomic<uint64_t> unnoted_bytes_{0};       // That have come since.

  mutable Mutex mu_;
  CondVar changed_;
  CircuitBreaker breaker_ S3OVERLAY_GUARDED_BY(mu_);
  SilenceWatch silence_ S3OVERLAY_GUARDED_BY(mu_);
  TimePoint next_look_ S3OVERLAY_GUARDED_BY(mu_){};  // Not before this is silence broken by another probe.
  bool idle_ S3OVERLAY_GUARDED_BY(mu_) = false;      // The thread sleeps until it is called.
  WallTime since_ S3OVERLAY_GUARDED_BY(mu_);         // Of the last change between available and not.
  std::string reason_ S3OVERLAY_GUARDED_BY(mu_);     // The last failure.
  bool announced_ S3OVERLAY_GUARDED_BY(mu_) = true;  // The availability that log and on_change know.

  std::thread thread_;  // Last: it uses all the others.
};

}  // namespace s3overlay
