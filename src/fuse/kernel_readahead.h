// SPDX-License-Identifier: Apache-2.0
//
// KernelReadahead: how far the kernel reads ahead in files that are read through the daemon, and with that how much it
// reads around a touch of a mapping. One setting of the whole mount, /sys/class/bdi/MAJOR:MINOR/read_ahead_kb, which an
// open file takes over when its open has been answered (Linux 6.18, fs/open.c: do_dentry_open): so it is set for a file
// right before that. Opens side by side may get each other's reach, which costs speed and nothing else.
#pragma once

#include <string>

#include "s3overlay/mutex.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

enum class ReadaheadReach {
  kShort,  // Bytes have to be fetched: a touch fetches all that is read around it, and the daemon reads ahead itself.
  kLong,   // Bytes are here: as few requests as can be.
};

// Thread-safe.
class KernelReadahead {
 public:
  // Before the session runs. `setting` is the file of the mount; where it cannot be written (only root may), the kernel
  // keeps its 128 KiB, and reads of what is here are slower.
  void Attach(const std::string& setting) S3OVERLAY_EXCLUDES(mu_);

  // Of the file whose open is answered next.
  void Choose(ReadaheadReach reach) S3OVERLAY_EXCLUDES(mu_);

 private:
  Mutex mu_;
  UniqueFd setting_ S3OVERLAY_GUARDED_BY(mu_);
  int kib_ S3OVERLAY_GUARDED_BY(mu_) = 0;  // What it was set to last.
};

}  // namespace s3overlay
