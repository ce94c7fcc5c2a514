// SPDX-License-Identifier: Apache-2.0
//
// The random run: many readers on a real mount, while everything around them changes, fails, restarts. Every byte that
// they get is checked. tests/README.md says how to run it longer, or again.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "random/cache_weather.h"
#include "random/findings.h"
#include "random/history_judge.h"
#include "random/reader.h"
#include "random/reading.h"
#include "random/version_content.h"
#include "random/weather.h"
#include "random/world.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

#ifdef S3OVERLAY_RANDOM_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr int kDefaultSeconds = kSanitized ? 20 : 120;
constexpr milliseconds kLongestStartWithoutStore{6000};  // A silent store is taken to be away after four seconds.
constexpr char kLargestCache[] = "1G";                   // Holds all that a run reads.
constexpr int kReaderThreads = kSanitized ? 2 : 4;
constexpr int kReaderProcesses = kSanitized ? 2 : 3;

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// A slow machine is no reason for a red run.
HistoryJudgeOptions JudgeOptions() {
  HistoryJudgeOptions options;
  if (kSanitized) {
    options.slack = seconds(5);
    options.calm_is_strict = false;
  }
  return options;
}

// Runs a function again and again on a thread of its own, until it goes.
class Repeater {
 public:
  explicit Repeater(std::function<void()> step)
      : thread_([this, step = std::move(step)] {
          while (!stopping_) step();
        }) {}
  ~Repeater() {
    stopping_ = true;
    thread_.join();
  }
  Repeater(const Repeater&) = delete;
  Repeater& operator=(const Repeater&) = delete;

 private:
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class RandomRun : public MountTest {
 protected:
  RandomRun()
      : seed_(NumberFromEnvironment("S3OVERLAY_TEST_RANDOM_SEED", std::random_device{}())),
        seconds_(static_cast<int>(NumberFromEnvironment("S3OVERLAY_TEST_RANDOM_SECONDS", kDefaultSeconds))),
        random_(seed_),
        plan_(seed_),
        findings_(plan_) {}

  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    world_ = std::make_unique<World>(
        plan_, World::Places{.bucket = bucket(), .prefix = "data", .local = LocalDirectory()}, findings_);
    judge_ = std::make_unique<HistoryJudge>(plan_, *world_, JudgeOptions());
    weather_ = std::make_unique<Weather>(proxy(), findings_, random_);
    cache_weather_ = std::make_unique<CacheWeather>(sandbox(), findings_, random_);
    CatchBusErrors();
    world_->Populate(random_);
    sandbox().AllowErrorsInLog();
  }

  void TearDown() override {
    if (cache_weather_) cache_weather_->HealDisk();
    Unmount();
    readers_.clear();
    cache_weather_.reset();
    MountTest::TearDown();
  }

  void Run();

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  bool IsOver() const { return steady_clock::now() >= end_ || findings_.any(); }

  void MeetWholeObjects();
  void RunEpisode(Episode::Kind kind, const MountOptions& options);
  MountOptions RandomMount(Episode::Kind kind);
  MountOptions MountOf(Episode::Kind kind, const char* cache_size, bool passthrough);
  void Blow();
  void Rest();
  void HarmCache();
  void CountPassedThrough();
  void EndDaemon();
  void StartReaders();
  void WatchProcesses();
  void EndProcesses();
  void ChangeWorld(std::mt19937_64& random);
  Reader::Tally SumUp() const;
  void ExpectPassedThrough(const Reader::Tally& all) const;

  const uint64_t seed_;
  const int seconds_;
  std::mt19937_64 random_;
  const FilePlan plan_;
  Findings findings_;
  std::unique_ptr<World> world_;
  std::unique_ptr<HistoryJudge> judge_;
  std::unique_ptr<Weather> weather_;
  std::unique_ptr<CacheWeather> cache_weather_;
  std::atomic<bool> passes_through_ = false;
  bool can_pass_through_ = false;  // This machine, and the libfuse of this build.
  uint64_t files_passed_ = 0;
  std::unique_ptr<ReaderSetting> setting_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<std::unique_ptr<Repeater>> threads_;
  steady_clock::time_point end_;
};

void RandomRun::Run() {
  std::cout << fmt::format("seed {}, {} seconds\n", seed_, seconds_) << std::flush;
  const auto start = steady_clock::now();
  end_ = start + seconds(seconds_);
  StartReaders();
  if (!kSanitized) MeetWholeObjects();
  while (!IsOver()) {
    const Episode::Kind kind = Below(5) < 3 ? Episode::kRough : Episode::kCalm;
    RunEpisode(kind, RandomMount(kind));
  }
  threads_.clear();
  EndProcesses();
  // What was killed last is still mounted.
  if (IsMounted(sandbox().mountpoint())) sandbox().Run({"umount", sandbox().mountpoint()});
  const std::chrono::duration<double> took = steady_clock::now() - start;
  const Reader::Tally all = SumUp();
  std::cout << fmt::format(
      "{:.0f} s: {} MiB checked in {} reads and {} opens; {} reads and {} opens failed honestly\n"
      "{} reads of whole objects in passthrough ({} of their files at the ends of mounts), {} without; the "
      "cache's disk failed {} calls\n",
      took.count(), all.bytes >> 20, all.reads, all.opens, all.failed_reads, all.failed_opens, all.reads_of_passed,
      files_passed_, all.reads_of_whole, cache_weather_->disk_faults());
  if (findings_.any()) {
    FAIL() << fmt::format("seed {}, after {:.1f} s: again with S3OVERLAY_TEST_RANDOM_SEED={}\n\n{}", seed_,
                          took.count(), seed_, findings_.text());
  }
  ExpectPassedThrough(all);
  // A store that redirects is a fault of the mount, and said as one; no other is.
  EXPECT_EQ(sandbox().CountLogLines({"[error]"}), sandbox().CountLogLines({"[error]", "Redirect"})) << sandbox().Log();
}

// In the kernel's hands and in the daemon's: what chance may leave out of two minutes.
void RandomRun::MeetWholeObjects() {
  for (const bool passthrough : {true, false}) {
    if (!IsOver()) RunEpisode(Episode::kCalm, MountOf(Episode::kCalm, kLargestCache, passthrough));
  }
}

Reader::Tally RandomRun::SumUp() const {
  Reader::Tally all;
  for (const auto& reader : readers_) {
    all.bytes += reader->tally().bytes;
    all.opens += reader->tally().opens;
    all.failed_opens += reader->tally().failed_opens;
    all.reads += reader->tally().reads;
    all.failed_reads += reader->tally().failed_reads;
    all.reads_of_passed += reader->tally().reads_of_passed;
    all.reads_of_whole += reader->tally().reads_of_whole;
  }
  return all;
}

// A run that is too short may have met none.
void RandomRun::ExpectPassedThrough(const Reader::Tally& all) const {
  if (seconds_ < kDefaultSeconds || kSanitized) return;
  EXPECT_GT(all.reads_of_whole, 0U);
  if (!can_pass_through_) return;
  EXPECT_GT(all.reads_of_passed, 0U);
  EXPECT_GT(files_passed_, 0U);
}

void RandomRun::StartReaders() {
  setting_ = std::make_unique<ReaderSetting>(ReaderSetting{.mountpoint = sandbox().mountpoint(),
                                                           .plan = plan_,
                                                           .judge = *judge_,
                                                           .findings = findings_,
                                                           .passes_through = passes_through_,
                                                           .may_map = false});
  for (int i = 0; i < kReaderProcesses; ++i) {
    const std::vector<std::string> argv = {S3OVERLAY_RANDOM_READER, sandbox().mountpoint(), std::to_string(seed_),
                                           std::to_string(random_()), std::to_string(seconds_)};
    processes_.push_back(std::make_unique<Process>(argv, std::vector<std::string>{}));
  }
  for (int i = 0; i < kReaderThreads; ++i) {
    readers_.push_back(std::make_unique<Reader>(*setting_, fmt::format("reader {}", i), random_()));
    Reader& reader = *readers_.back();
    threads_.push_back(std::make_unique<Repeater>([this, &reader] {
      if (findings_.any()) return std::this_thread::sleep_for(milliseconds(10));
      reader.Step();
    }));
  }
  auto random = std::make_shared<std::mt19937_64>(random_());
  threads_.push_back(std::make_unique<Repeater>([this, random] { ChangeWorld(*random); }));
}

void RandomRun::ChangeWorld(std::mt19937_64& random) {
  std::this_thread::sleep_for(milliseconds(20 + random() % 300));
  if (findings_.any()) return;
  try {
    world_->Change(random);
  } catch (const std::exception& problem) {
    findings_.Report(fmt::format("the store itself failed: {}", problem.what()));
  }
}

void RandomRun::RunEpisode(Episode::Kind kind, const MountOptions& options) {
  const bool starts_without_store = kind == Episode::kRough && Below(3) == 0;
  if (starts_without_store) weather_->TakeStoreAway();
  MountWith(options);
  if (HasFailure()) return findings_.Report("it would not mount");
  passes_through_ = mount().Status().at("fuse").at("passthrough").at("on").get<bool>();
  judge_->SetEpisode(kind);
  if (starts_without_store) weather_->Last(kLongestStartWithoutStore);
  const auto end = std::min(end_, steady_clock::now() + milliseconds(4000 + Below(8000)));
  while (steady_clock::now() < end && !findings_.any()) {
    if (kind == Episode::kRough) Blow();
    if (kind == Episode::kCalm) Rest();
    if (Below(4) == 0) HarmCache();
    WatchProcesses();
  }
  judge_->SetEpisode(Episode::kDown);
  weather_->Clear();
  CountPassedThrough();
  EndDaemon();
}

void RandomRun::Blow() {
  if (Below(4) != 0) cache_weather_->BreakDisk();
  weather_->Blow();
  cache_weather_->HealDisk();
}

// All is well with the store. A disk that fails costs no read then, where the daemon does the reading.
void RandomRun::Rest() {
  if (!passes_through_) cache_weather_->BreakDisk();
  std::this_thread::sleep_for(milliseconds(Below(900)));
  cache_weather_->HealDisk();
}

void RandomRun::HarmCache() {
  if (passes_through_ || Below(2) == 0) return cache_weather_->Disturb();
  cache_weather_->Damage();
}

void RandomRun::CountPassedThrough() {
  if (!passes_through_) return;
  can_pass_through_ = true;
  files_passed_ += cache_weather_->CountLent();
}

MountOptions RandomRun::RandomMount(Episode::Kind kind) {
  constexpr std::array<const char*, 5> kCaches = {"3M", "8M", "24M", "64M", kLargestCache};  // Most evict all the time.
  const char* const cache_size = Below(6) == 0 ? nullptr : kCaches.at(Below(kCaches.size()));
  return MountOf(kind, cache_size, Below(3) != 0);
}

// Without a cache where it has no size.
MountOptions RandomRun::MountOf(Episode::Kind kind, const char* cache_size, bool passthrough) {
  constexpr std::array<const char*, 3> kMemory = {"16M", "32M", "256M"};
  MountOptions options;
  options.cache = cache_size != nullptr;
  options.arguments = {"--layer",        S3Layer(),
                       "--layer",        LocalDirectory(),
                       "--log-level",    "info",
                       "--memory-limit", kMemory.at(Below(kMemory.size())),
                       "--op-timeout",   kind == Episode::kRough ? "3s" : "30s"};
  if (options.cache) {
    options.arguments.insert(options.arguments.end(),
                             {"--cache-dir", cache_weather_->ChooseCache(), "--cache-size", cache_size});
  }
  if (!passthrough) options.arguments.emplace_back("--no-passthrough");
  findings_.NoteAll("run", fmt::format("mounts: {}", fmt::join(options.arguments, " ")));
  return options;
}

// In order, with files open; or as a crash would.
void RandomRun::EndDaemon() {
  const pid_t pid = mount().pid();
  if (pid < 0) return findings_.Report("the daemon has ended by itself");
  const bool is_killed = Below(2) == 0;
  findings_.NoteAll("run", is_killed ? "kill -9" : "SIGTERM");
  mount().Forget();
  ::kill(pid, is_killed ? SIGKILL : SIGTERM);
  if (!Eventually([&] { return sandbox().FindDaemons().empty(); })) findings_.Report("the daemon would not end");
  if (Below(2) == 0) cache_weather_->Damage();
}

// A process that found something has ended.
void RandomRun::WatchProcesses() {
  for (auto& process : processes_) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(process->pid()), &info, WEXITED | WNOHANG | WNOWAIT) != 0) continue;
    if (info.si_pid != 0 && (info.si_code != CLD_EXITED || info.si_status != 0)) {
      findings_.Report("a reader process: " + process->Wait().out);
    }
  }
}

void RandomRun::EndProcesses() {
  if (findings_.any()) return processes_.clear();
  for (auto& process : processes_) {
    const ProcessResult result = process->Wait();
    if (result.exit_code != 0) {
      findings_.Report(fmt::format("a reader process ended with {}: {}{}", result.exit_code, result.out, result.err));
    }
  }
}

TEST_F(RandomRun, NoWrongByte) { Run(); }

}  // namespace
}  // namespace s3overlay::testing
