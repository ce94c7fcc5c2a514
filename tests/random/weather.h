// SPDX-License-Identifier: Apache-2.0
//
// Weather: what happens to the talk between the mount and the store while readers read.
#pragma once

#include <chrono>
#include <random>

#include "random/findings.h"
#include "support/mount/fault_proxy.h"

namespace s3overlay::testing {

// Of one thread.
class Weather {
 public:
  Weather(FaultProxy& proxy, Findings& findings, std::mt19937_64& random);

  // One random fault of the network or the store, for up to some seconds, and its end.
  void Blow();
  // The store cannot be asked, in one of the ways in which that happens.
  void TakeStoreAway();
  // What is wrong stays so for up to that time, and ends.
  void Last(std::chrono::milliseconds longest);
  // Takes back every fault.
  void Clear();

 private:
  void AddRules();
  FaultRule RandomRule();
  Fault RandomFault();
  Fault WrongContent();
  Fault WrongLength();
  Fault Refusal();
  Fault BrokenOff();
  Fault Slowness();
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  FaultProxy& proxy_;
  Findings& findings_;
  std::mt19937_64& random_;
};

}  // namespace s3overlay::testing
