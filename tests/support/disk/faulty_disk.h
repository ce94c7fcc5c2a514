// SPDX-License-Identifier: Apache-2.0
//
// FaultyDisk: a file system that shows a directory and, on command, does to whoever uses it what broken disks do:
// errors on read, on write and on fsync, no space, slowness, silence. A FUSE server of its own, in this process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "s3overlay/mutex.h"

struct fuse;

namespace s3overlay::testing {

// Thread-safe. Faults hold for calls that come after they were set.
class FaultyDisk {
 public:
  // Shows `directory` at `mountpoint`, both absolute and there. Throws std::runtime_error where it cannot be mounted.
  FaultyDisk(std::string directory, std::string mountpoint);
  // Answers whoever hangs, and unmounts.
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // An errno for every call of the kind; 0: they work. A failing write also stands for create, mkdir and rename.
  void FailReads(int error) { read_error_ = error; }
  void FailWrites(int error) { write_error_ = error; }

  // As the worst disks do: fsync is EIO, and from then on the file has the bytes that it had before the last writes.
  void LoseWritesAtSync(bool lose) { lose_at_sync_ = lose; }

  // Bytes a second, of all reads and writes together; 0: as fast as can be.
  void LimitRate(uint64_t bytes_per_second) S3OVERLAY_EXCLUDES(mu_);

  // No call is answered until Resume().
  void Hang() S3OVERLAY_EXCLUDES(mu_);
  void Resume() S3OVERLAY_EXCLUDES(mu_);

  // No fault any more.
  void Heal() S3OVERLAY_EXCLUDES(mu_);

  // Calls that came so far and met a fault of theirs.
  uint64_t faults() const { return faults_; }
  uint64_t waiting() const { return waiting_; }

 private:
  friend struct FaultyDiskCalls;

  // What a file held before a write that is not on the medium yet.
  struct Overwritten {
    uint64_t offset = 0;
    std::string bytes;
  };

  std::string PathOf(const char* path) const { return directory_ + path; }
  void WaitWhileHung() S3OVERLAY_EXCLUDES(mu_);
  int Fault(const std::atomic<int>& error);
  void Pace(size_t bytes) S3OVERLAY_EXCLUDES(mu_);
  void RememberBefore(int fd, uint64_t offset, size_t size) S3OVERLAY_EXCLUDES(mu_);
  int Sync(int fd) S3OVERLAY_EXCLUDES(mu_);

  const std::string directory_;
  const std::string mountpoint_;
  std::atomic<int> read_error_{0};
  std::atomic<int> write_error_{0};
  std::atomic<bool> lose_at_sync_{false};
  std::atomic<uint64_t> faults_{0};
  std::atomic<uint64_t> waiting_{0};

  Mutex mu_;
  CondVar resumed_;
  bool hung_ S3OVERLAY_GUARDED_BY(mu_) = false;
  uint64_t rate_ S3OVERLAY_GUARDED_BY(mu_) = 0;
  std::chrono::steady_clock::time_point free_at_ S3OVERLAY_GUARDED_BY(mu_);
  std::map<uint64_t, std::vector<Overwritten>> overwritten_ S3OVERLAY_GUARDED_BY(mu_);  // By inode.

  fuse* fuse_ = nullptr;
  std::thread thread_;
};

}  // namespace s3overlay::testing
