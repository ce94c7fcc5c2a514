// SPDX-License-Identifier: Apache-2.0
//
// Weather: what happens to the talk between the mount and the store, and to the cache, while readers read.
#pragma once

#include <atomic>
#include <random>
#include <string>

#include "random/findings.h"
#include "support/mount/fault_proxy.h"
#include "support/mount/sandbox.h"

namespace s3overlay::testing {

// Of one thread.
class Weather {
 public:
  Weather(FaultProxy& proxy, Sandbox& sandbox, Findings& findings, std::mt19937_64& random);

  // One random fault of the network or the store, for up to some seconds, and its end.
  void Blow();
  // Takes back every fault.
  void Clear();

  // What a user or the kernel may do to the cache at any time, at no cost but speed.
  void DisturbCache();
  // Only where no daemon has the cache: bytes turn in files that are not called complete. Those that are, are trusted;
  // bit rot in them is found by `cache verify` alone.
  void DamageCache();

 private:
  FaultRule RandomRule();
  Fault RandomFault();
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  FaultProxy& proxy_;
  Sandbox& sandbox_;
  Findings& findings_;
  std::mt19937_64& random_;
};

}  // namespace s3overlay::testing
