// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/thread_pool.h"

#include <pthread.h>

#include <exception>
#include <new>
#include <utility>

#include "s3overlay/log.h"

namespace s3overlay {

ThreadPool::ThreadPool(ThreadPoolOptions options) : options_(std::move(options)) {}

ThreadPool::~ThreadPool() { Stop(); }

bool ThreadPool::TrySubmit(Task task) {
  MutexLock lock(mu_);
  if (stopping_ || queue_.size() >= options_.queue_limit) return false;
  try {
    queue_.push_back(std::move(task));
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (waiting_ < queue_.size() && threads_.size() < options_.threads) {
    try {
      threads_.emplace_back([this] { Work(); });
    } catch (const std::exception&) {
      // No thread to be had, or no memory for one. Others will come to the task; without any, nobody would.
      if (threads_.empty()) {
        queue_.pop_back();
        return false;
      }
    }
  }
  work_available_.Signal();
  return true;
}

void ThreadPool::Stop() {
  std::vector<std::thread> threads;
  std::list<Task> dropped;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    dropped.swap(queue_);
    threads.swap(threads_);
    work_available_.SignalAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void ThreadPool::WaitIdle() {
  MutexLock lock(mu_);
  while (!queue_.empty() || running_ > 0) idle_.Wait(mu_);
}

QueueLength ThreadPool::GetQueue() const {
  MutexLock lock(mu_);
  return {.name = options_.name, .length = queue_.size(), .limit = options_.queue_limit};
}

void ThreadPool::RunTask(const Task& task) const {
  try {
    task();
  } catch (const std::bad_alloc&) {
    log::Error("{}: no memory; a task is given up", options_.name);
  }
}

void ThreadPool::Work() {
  ::pthread_setname_np(::pthread_self(), options_.name.substr(0, 15).c_str());
  MutexLock lock(mu_);
  while (true) {
    while (queue_.empty() && !stopping_) {
      ++waiting_;
      work_available_.Wait(mu_);
      --waiting_;
    }
    if (stopping_) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.Unlock();
    RunTask(task);
    task = nullptr;  // What the task holds is let go before the pool counts as idle.
    lock.Lock();
    --running_;
    if (queue_.empty() && running_ == 0) idle_.SignalAll();
  }
}

}  // namespace s3overlay
