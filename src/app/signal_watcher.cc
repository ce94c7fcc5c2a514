// SPDX-License-Identifier: Apache-2.0
#include "app/signal_watcher.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <array>
#include <csignal>

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

// signalfd(2): signals that a descriptor reports have to be blocked in every thread.
UniqueFd BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
}

}  // namespace

SignalWatcher::SignalWatcher(SignalActions actions)
    : actions_(std::move(actions)),
      signals_(BlockSignals()),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Watch(); }) {}

SignalWatcher::~SignalWatcher() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

// The next signal; 0 when the watcher is to stop.
int SignalWatcher::NextSignal() {
  std::array<pollfd, 2> waiting = {pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0}};
  while (true) {
    const int ready = ::poll(waiting.data(), waiting.size(), -1);
    if (ready < 0 && errno == EINTR) continue;
    signalfd_siginfo info{};
    if (ready < 0 || waiting[0].revents != 0) return 0;
    if (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) return static_cast<int>(info.ssi_signo);
  }
}

bool SignalWatcher::WaitForStop() {
  pollfd waiting{.fd = stop_.get(), .events = POLLIN, .revents = 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(actions_.end_limit);
  return ::poll(&waiting, 1, static_cast<int>(limit.count())) > 0;
}

void SignalWatcher::Watch() {
  while (const int signal = NextSignal()) {
    if (signal == SIGHUP) {
      log::Info("SIGHUP: there is nothing to reload, ignored");
      continue;
    }
    log::Info("signal {}: unmounting", signal);
    std::thread ending(actions_.end);  // It may wait for what hangs.
    if (!WaitForStop()) actions_.end_overdue();
    ending.join();
    return;
  }
}

}  // namespace s3overlay
