// SPDX-License-Identifier: Apache-2.0
#include "fuse/kernel_readahead.h"

#include <fcntl.h>
#include <unistd.h>

#include "fuse/request.h"

namespace s3overlay {
namespace {

// Two blocks of the cache at most. Cold reads are as fast, from 128 KiB to a megabyte.
constexpr int kShortKiB = 128;
// As much as one request can carry. Through the daemon 128 KiB took half as much processor time again, 256 a quarter.
constexpr int kLongKiB = kMaxRead / 1024;

}  // namespace

void KernelReadahead::Attach(const std::string& setting) {
  MutexLock lock(mu_);
  setting_ = UniqueFd(::open(setting.c_str(), O_WRONLY | O_CLOEXEC));
}

// Under the lock: what is remembered is what was written last. The kernel only stores a number.
void KernelReadahead::Choose(ReadaheadReach reach) {
  const int wanted = reach == ReadaheadReach::kLong ? kLongKiB : kShortKiB;
  MutexLock lock(mu_);
  if (!setting_.is_open() || kib_ == wanted) return;
  const std::string text = std::to_string(wanted) + "\n";
  if (::pwrite(setting_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) kib_ = wanted;
}

}  // namespace s3overlay
