// SPDX-License-Identifier: Apache-2.0
//
// CacheWeather: what happens to the cache and to the disk below it, while readers read.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "random/findings.h"
#include "support/disk/faulty_disk.h"
#include "support/mount/sandbox.h"

namespace s3overlay::testing {

// Of one thread.
class CacheWeather {
 public:
  CacheWeather(Sandbox& sandbox, Findings& findings, std::mt19937_64& random);

  // The directory of the next mount's cache. Mostly the sandbox's own, on the machine's disk; now and then one on a
  // disk that can fail, which is never the common case: it is slow, and answers nothing at once.
  const std::string& ChooseCache();

  // What a user or the kernel may do to the cache at any time, at no cost but speed.
  void Disturb();

  // Bytes turn in its files. In none that the kernel was ever handed: what has it open or mapped reads it with nobody
  // in between. So only where no daemon has the cache, or one that hands out nothing.
  void Damage();

  // Files that the kernel was handed, and that are still there.
  uint64_t CountLent() const;

  // One random fault of the disk, where it is the one that can fail; until Heal().
  void BreakDisk();
  void HealDisk();
  // Calls so far that the disk failed.
  uint64_t disk_faults() const { return disk_.faults(); }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  Sandbox& sandbox_;
  Findings& findings_;
  std::mt19937_64& random_;
  const std::string on_faulty_disk_;
  FaultyDisk disk_;
  std::string cache_;
};

}  // namespace s3overlay::testing
