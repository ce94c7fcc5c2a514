// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "s3/breaker_store.h"
#include "s3/circuit_breaker.h"
#include "s3/silence_watch.h"
#include "support/fake_clock.h"

namespace s3overlay {
namespace {

using std::chrono::seconds;
using testing::FakeClock;

TEST(CircuitBreaker, OpensOnlyAfterEnoughFailuresOverLongEnough) {
  FakeClock clock;
  CircuitBreaker breaker({});
  for (int i = 0; i < 100; ++i) breaker.RecordFailure(clock.Now());
  EXPECT_TRUE(breaker.is_closed()) << "many in one instant";
  breaker.RecordSuccess();
  for (int i = 0; i < 4; ++i) {
    breaker.RecordFailure(clock.Now());
    clock.Advance(seconds(1));
  }
  EXPECT_TRUE(breaker.is_closed()) << "few over a long time";
  breaker.RecordSuccess();
  breaker.RecordFailure(clock.Now());
  EXPECT_TRUE(breaker.is_closed()) << "a success starts the count again";
  clock.Advance(seconds(2));
  for (int i = 0; i < 4; ++i) breaker.RecordFailure(clock.Now());
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
}

TEST(CircuitBreaker, ProbesAtDoublingPauses) {
  FakeClock clock;
  CircuitBreaker breaker({.min_failures = 1, .min_span = Duration::zero()});
  breaker.RecordFailure(clock.Now());
  std::vector<Duration> pauses;
  for (int i = 0; i < 7; ++i) {
    pauses.push_back(breaker.next_probe() - clock.Now());
    clock.Advance(pauses.back());
    breaker.StartProbe();
    EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
    breaker.FailProbe(clock.Now());
  }
  EXPECT_EQ(pauses, (std::vector<Duration>{seconds(1), seconds(2), seconds(4), seconds(8), seconds(16), seconds(30),
                                           seconds(30)}));
  breaker.StartProbe();
  breaker.RecordSuccess();
  breaker.FailProbe(clock.Now());
  EXPECT_TRUE(breaker.is_closed()) << "a success of another call counts, whatever the probe met";
}

TEST(SilenceWatch, CountsOnlyWhileSomebodyWaits) {
  FakeClock clock;
  SilenceWatch watch;
  EXPECT_EQ(watch.Silence(clock.Now()), Duration::zero());
  watch.BeginCall(clock.Now());
  clock.Advance(seconds(2));
  EXPECT_EQ(watch.Silence(clock.Now()), seconds(2));
  watch.BeginCall(clock.Now());
  EXPECT_EQ(watch.Silence(clock.Now()), seconds(2)) << "a second caller does not start it again";
  watch.Hear(clock.Now());
  watch.EndCall(clock.Now());
  clock.Advance(seconds(1));
  EXPECT_EQ(watch.Silence(clock.Now()), seconds(1)) << "the other one still waits";
  watch.EndCall(clock.Now());
  clock.Advance(seconds(1));
  EXPECT_EQ(watch.Silence(clock.Now()), Duration::zero());
  watch.BeginCall(clock.Now());
  EXPECT_EQ(watch.Silence(clock.Now()), Duration::zero()) << "an hour without calls is no silence";
}

TEST(SilenceWatch, CallersThatComeOneAfterTheOtherAreOneWait) {
  FakeClock clock;
  SilenceWatch watch;
  for (int i = 0; i < 3; ++i) {
    watch.BeginCall(clock.Now());
    clock.Advance(seconds(1));
    watch.EndCall(clock.Now());
    clock.Advance(std::chrono::milliseconds(10));
  }
  EXPECT_GE(watch.Silence(clock.Now()), seconds(3));
}

// A store whose every answer is the same, until it is changed.
class OneAnswerStore final : public ObjectStore {
 public:
  Result<ObjectMetadata> Head(const std::string&, const std::string&, const CallContext&) override {
    S3OVERLAY_RETURN_IF_ERROR(Answer());
    return ObjectMetadata{};
  }
  Result<ListPage> List(const ListRequest& request, const CallContext& context) override {
    const bool is_probe = request.bucket == "probed";
    {
      MutexLock lock(mu_);
      ++(is_probe ? probes_ : waiting_);
      if (is_probe) probed_bucket_ = request.bucket;
      changed_.SignalAll();
    }
    S3OVERLAY_RETURN_IF_ERROR(WaitAtGate(is_probe ? &gated_ : &silent_, context));
    S3OVERLAY_RETURN_IF_ERROR(Answer());
    return ListPage{};
  }
  Result<void> GetRange(const ObjectId&, ByteRange, const ByteSink& sink, const CallContext& context) override {
    {
      MutexLock lock(mu_);
      ++waiting_;
      changed_.SignalAll();
    }
    S3OVERLAY_RETURN_IF_ERROR(WaitAtGate(&silent_, context));
    S3OVERLAY_RETURN_IF_ERROR(Answer());
    return sink(0, {});
  }
  std::string url() const override { return "https://store"; }
  bool IsAway() const override { return false; }

  void Set(ErrorCode code) {
    MutexLock lock(mu_);
    code_ = code;
  }
  void SetGated(bool gated) {
    MutexLock lock(mu_);
    gated_ = gated;
  }
  // What comes waits, probes as well, until their deadlines or until this is over.
  void SetSilent(bool silent) {
    MutexLock lock(mu_);
    silent_ = gated_ = silent;
  }
  // False after 60 s.
  bool WaitForCalls(int count) {
    MutexLock lock(mu_);
    for (int i = 0; i < 6000 && waiting_ < count; ++i) changed_.WaitFor(mu_, std::chrono::milliseconds(10));
    return waiting_ >= count;
  }
  // Returns the bucket of the latest probe once there were `count`; empty after 60 s.
  std::string WaitForProbes(int count) {
    MutexLock lock(mu_);
    for (int i = 0; i < 6000 && probes_ < count; ++i) changed_.WaitFor(mu_, std::chrono::milliseconds(10));
    return probes_ < count ? "" : probed_bucket_;
  }
  int probes() const {
    MutexLock lock(mu_);
    return probes_;
  }
  int calls() const {
    MutexLock lock(mu_);
    return calls_;
  }

  explicit OneAnswerStore(const Clock& clock) : clock_(clock) {}

 private:
  Result<void> WaitAtGate(const bool* gate, const CallContext& context) S3OVERLAY_NO_THREAD_SAFETY_ANALYSIS {
    MutexLock lock(mu_);
    while (*gate) {
      if (context.IsCancelled()) return Error{ErrorCode::kCancelled, "cancelled"};
      if (context.deadline.HasPassed(clock_)) return Error{ErrorCode::kTimedOut, "no answer"};
      changed_.WaitFor(mu_, std::chrono::milliseconds(10));
    }
    return {};
  }

  Result<void> Answer() {
    MutexLock lock(mu_);
    ++calls_;
    if (code_ == ErrorCode::kSystem) return {};
    return Error{code_, "down"};
  }

  const Clock& clock_;

  mutable Mutex mu_;
  CondVar changed_;
  ErrorCode code_ S3OVERLAY_GUARDED_BY(mu_) = ErrorCode::kSystem;  // kSystem: no error
  bool gated_ S3OVERLAY_GUARDED_BY(mu_) = false;
  bool silent_ S3OVERLAY_GUARDED_BY(mu_) = false;
  int waiting_ S3OVERLAY_GUARDED_BY(mu_) = 0;  // Calls that came, but for probes.
  int probes_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  int calls_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  std::string probed_bucket_ S3OVERLAY_GUARDED_BY(mu_);
};

ListRequest SomeList() {
  ListRequest request;
  request.bucket = "b";
  return request;
}

// kSystem where it went well.
template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode::kSystem : result.error().code;
}

class BreakerStoreTest : public ::testing::Test {
 protected:
  BreakerStoreTest() {
    auto inner = std::make_unique<OneAnswerStore>(clock_);
    inner_ = inner.get();
    BreakerStoreOptions options;
    options.probe_bucket = "probed";
    options.on_change = [this](bool available) {
      MutexLock lock(mu_);
      changes_.push_back(available);
      changed_.SignalAll();
    };
    store_ = std::make_unique<BreakerStore>(std::move(inner), options, clock_, metrics_);
  }

  void Fail(ErrorCode code) {
    inner_->Set(code);
    for (int i = 0; i < 6; ++i) {
      EXPECT_FALSE(store_->Head("b", "k", {}));
      clock_.Advance(std::chrono::milliseconds(500));
    }
  }
  bool WaitForChanges(const std::vector<bool>& expected) {
    MutexLock lock(mu_);
    for (int i = 0; i < 6000 && changes_ != expected; ++i) changed_.WaitFor(mu_, std::chrono::milliseconds(10));
    return changes_ == expected;
  }
  // When the store looks at the clock is its own affair: time goes on until it has sent that many probes.
  bool AdvanceUntilProbed(int probes, Duration step) {
    for (int i = 0; i < 6000 && inner_->probes() < probes; ++i) {
      clock_.Advance(step);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return inner_->probes() >= probes;
  }
  std::string State() const { return std::get<std::string>(store_->GetStatus().at(1).second.value); }

  FakeClock clock_;
  Metrics metrics_;
  Mutex mu_;
  CondVar changed_;
  std::vector<bool> changes_ S3OVERLAY_GUARDED_BY(mu_);
  OneAnswerStore* inner_ = nullptr;
  std::unique_ptr<BreakerStore> store_;
};

TEST_F(BreakerStoreTest, FailsAtOnceWhileTheStoreIsAwayAndComesBackByAProbe) {
  inner_->SetGated(true);
  Fail(ErrorCode::kUnavailable);
  EXPECT_TRUE(WaitForChanges({false}));
  EXPECT_EQ(metrics_.Get(Metric::kBreakerOpened), 1U);
  const int calls = inner_->calls();
  const Result<ObjectMetadata> head = store_->Head("b", "k", {});
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(head.error().message.find("away since"), std::string::npos) << head.error().message;
  EXPECT_EQ(inner_->calls(), calls) << "the store was not asked";

  clock_.Advance(seconds(1));
  EXPECT_EQ(inner_->WaitForProbes(1), "probed");
  EXPECT_EQ(State(), "half-open");
  inner_->Set(ErrorCode::kDenied);  // A proper answer.
  inner_->SetGated(false);
  EXPECT_TRUE(WaitForChanges({false, true}));
  EXPECT_EQ(State(), "closed");
  inner_->Set(ErrorCode::kSystem);
  EXPECT_TRUE(store_->Head("b", "k", {}));
}

TEST_F(BreakerStoreTest, AnswersOfTheStoreAreNoOutage) {
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kDenied, ErrorCode::kThrottled, ErrorCode::kVersionGone,
                               ErrorCode::kCancelled, ErrorCode::kCredentials}) {
    Fail(code);
    EXPECT_EQ(State(), "closed") << ErrorCodeName(code);
  }
  for (int i = 0; i < 6; ++i) {
    inner_->Set(ErrorCode::kSystem);
    const auto sink = [](uint64_t, std::span<const std::byte>) -> Result<void> {
      return Error{ErrorCode::kUnavailable, "the sink's own"};
    };
    EXPECT_FALSE(store_->GetRange({}, {}, sink, {}));
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(State(), "closed");
}

TEST_F(BreakerStoreTest, CallsThatCameTooLateAreNoEvidence) {
  inner_->Set(ErrorCode::kUnavailable);
  CallContext late;
  late.deadline = Deadline::At(clock_.Now());
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(store_->Head("b", "k", late).error().code, ErrorCode::kTimedOut);
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(State(), "closed");
}

TEST_F(BreakerStoreTest, ASilentStoreCostsItsCallersSecondsAndNotADeadlineEach) {
  inner_->SetSilent(true);
  ErrorCode listed = ErrorCode::kSystem;
  std::thread caller([&] { listed = CodeOf(store_->List(SomeList(), {})); });
  ASSERT_TRUE(inner_->WaitForCalls(1));
  clock_.Advance(std::chrono::milliseconds(1001));
  EXPECT_EQ(inner_->WaitForProbes(1), "probed");
  EXPECT_EQ(State(), "closed");
  clock_.Advance(std::chrono::milliseconds(3001));
  EXPECT_TRUE(WaitForChanges({false}));
  caller.join();
  EXPECT_EQ(listed, ErrorCode::kUnavailable);
  EXPECT_EQ(CodeOf(store_->Head("b", "k", {})), ErrorCode::kUnavailable);

  inner_->SetSilent(false);
  clock_.Advance(seconds(1));
  EXPECT_TRUE(WaitForChanges({false, true}));
  EXPECT_TRUE(store_->Head("b", "k", {}));
}

TEST_F(BreakerStoreTest, OneSlowAnswerIsNoOutage) {
  inner_->SetSilent(true);
  inner_->SetGated(false);  // Probes are answered.
  ErrorCode listed = ErrorCode::kNotFound;
  std::thread caller([&] { listed = CodeOf(store_->List(SomeList(), {})); });
  ASSERT_TRUE(inner_->WaitForCalls(1));
  for (int i = 1; i <= 5; ++i) EXPECT_TRUE(AdvanceUntilProbed(i, std::chrono::milliseconds(500)));
  EXPECT_TRUE(AdvanceUntilProbed(6, std::chrono::hours(24))) << "the machine slept";
  EXPECT_EQ(State(), "closed");
  inner_->SetSilent(false);
  caller.join();
  EXPECT_EQ(listed, ErrorCode::kSystem) << "it was answered in the end";
  EXPECT_EQ(metrics_.Get(Metric::kBreakerOpened), 0U);
}

TEST_F(BreakerStoreTest, BytesUnderWayGoOnWhenTheStoreIsTakenToBeAway) {
  inner_->SetSilent(true);
  ErrorCode got = ErrorCode::kNotFound;
  const auto sink = [](uint64_t, std::span<const std::byte>) { return Result<void>(); };
  std::thread reader([&] { got = CodeOf(store_->GetRange({}, {}, sink, {})); });
  ASSERT_TRUE(inner_->WaitForCalls(1));
  clock_.Advance(std::chrono::milliseconds(1001));
  ASSERT_EQ(inner_->WaitForProbes(1), "probed");
  clock_.Advance(std::chrono::milliseconds(3001));
  EXPECT_TRUE(WaitForChanges({false}));
  inner_->SetSilent(false);
  reader.join();
  EXPECT_EQ(got, ErrorCode::kSystem) << "an answer that comes in time counts";
  EXPECT_TRUE(WaitForChanges({false, true})) << "and is a sign of life";
}

TEST_F(BreakerStoreTest, EndsWhileAProbeHangs) {
  inner_->SetGated(true);
  Fail(ErrorCode::kTimedOut);
  clock_.Advance(seconds(1));
  EXPECT_EQ(inner_->WaitForProbes(1), "probed");
  store_.reset();
}

}  // namespace
}  // namespace s3overlay
