// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_writer.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <latch>
#include <memory>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

// A queued write beside its bytes: the names of its object, and its place in the queue. Without it small objects would
// take many times the memory that the queue may have.
constexpr uint64_t kWriteOverhead = 1024;

uint64_t BytesOf(const BlockWrite& write) { return write.block.size() + kWriteOverhead; }

uint64_t BytesOf(const std::variant<BlockWrite, CacheWriter::Command>& task) {
  const auto* write = std::get_if<BlockWrite>(&task);
  return write == nullptr ? 0 : BytesOf(*write);
}

constexpr Duration kDrainStep = std::chrono::milliseconds(20);
constexpr int kDrainSteps = 100;  // Two seconds.

}  // namespace

CacheWriter::CacheWriter(CacheStorage& storage, uint64_t queue_bytes)
    : queue_bytes_(queue_bytes), storage_(storage), thread_([this] { Run(); }) {}

bool CacheWriter::TryPush(BlockWrite write) {
  MutexLock lock(mu_);
  const uint64_t bytes = BytesOf(write);
  if (stopping_ || queued_bytes_ + bytes > queue_bytes_) return false;
  queued_bytes_ += bytes;
  queue_.emplace_back(std::move(write));
  changed_.SignalAll();
  return true;
}

QueueLength CacheWriter::GetQueue() const {
  MutexLock lock(mu_);
  return {.name = "cache-writer", .unit = "bytes", .length = queued_bytes_, .limit = queue_bytes_};
}

void CacheWriter::Post(Command command) {
  MutexLock lock(mu_);
  if (stopping_) return;
  queue_.emplace_back(std::move(command));
  changed_.SignalAll();
}

void CacheWriter::RunAndWait(Command command) {
  // Counts down when the command goes, run or not.
  const auto done = std::make_shared<std::latch>(1);
  std::shared_ptr<void> gone(nullptr, [done](void*) { done->count_down(); });
  Post([command = std::move(command), gone = std::move(gone)] { command(); });
  done->wait();
}

uint64_t CacheWriter::DropQueued() {
  MutexLock lock(mu_);
  const uint64_t dropped = std::erase_if(queue_, [this](const Task& task) S3OVERLAY_REQUIRES(mu_) {
    queued_bytes_ -= BytesOf(task);
    return std::holds_alternative<BlockWrite>(task);
  });
  return dropped;
}

// Who unmounts waits for this: what a slow disk has not taken by then is not kept.
void CacheWriter::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.SignalAll();
    for (int i = 0; i < kDrainSteps && !queue_.empty(); ++i) changed_.WaitFor(mu_, kDrainStep);
  }
  (void)DropQueued();
  if (thread_.joinable()) thread_.join();
}

void CacheWriter::Run() {
  ::pthread_setname_np(::pthread_self(), "cache-writer");
  MutexLock lock(mu_);
  while (true) {
    const bool has_task = WaitForTask();
    if (!has_task && stopping_) return;
    Task task = Command([this] { storage_.Tick(); });
    if (has_task) {
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    lock.Unlock();
    const uint64_t bytes = BytesOf(task);
    RunTask(task);
    task = Command();  // The block is let go before its bytes are.
    lock.Lock();
    queued_bytes_ -= bytes;
  }
}

// False when it was time for something else, or to stop.
bool CacheWriter::WaitForTask() {
  if (queue_.empty() && !stopping_) changed_.WaitFor(mu_, storage_.TimeToTick());
  return !queue_.empty();
}

void CacheWriter::RunTask(const Task& task) {
  try {
    if (const auto* write = std::get_if<BlockWrite>(&task)) {
      storage_.Write(*write);
    } else {
      std::get<Command>(task)();
    }
    storage_.CommitIfDue();
  } catch (const std::exception& exception) {
    log::Error("cache: {}", exception.what());
  }
}

}  // namespace s3overlay
