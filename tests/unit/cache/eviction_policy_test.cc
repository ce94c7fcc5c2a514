// SPDX-License-Identifier: Apache-2.0
#include "cache/eviction_policy.h"

#include <gtest/gtest.h>

#include <set>

namespace s3overlay {
namespace {

constexpr uint64_t kBytes = 100;

UnitKey Unit(uint64_t unit) { return {{1, 1}, unit}; }
bool Any(const UnitKey&) { return true; }

// A cache of `limit` units in front of which the policy stands.
class Cache {
 public:
  explicit Cache(size_t limit) : limit_(limit) {}

  bool Read(uint64_t unit) {
    if (held_.contains(unit)) {
      policy_.Touch(Unit(unit));
      return true;
    }
    while (held_.size() >= limit_) held_.erase(policy_.TakeVictim(Any)->unit);
    held_.insert(unit);
    policy_.Resize(Unit(unit), kBytes);
    return false;
  }

  EvictionPolicy policy_;

 private:
  const size_t limit_;
  std::set<uint64_t> held_;
};

TEST(EvictionPolicy, AScanDoesNotPushOutWhatIsReadAgain) {
  Cache cache(100);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t unit = 0; unit < 50; ++unit) cache.Read(unit);
  }
  for (uint64_t unit = 1000; unit < 2000; ++unit) cache.Read(unit);
  int kept = 0;
  for (uint64_t unit = 0; unit < 50; ++unit) kept += cache.Read(unit) ? 1 : 0;
  EXPECT_GE(kept, 45);
}

TEST(EvictionPolicy, NeighbouringReadsOfOneScanAreOneUse) {
  Cache cache(100);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t unit = 0; unit < 50; ++unit) cache.Read(unit);
  }
  for (uint64_t unit = 1000; unit < 2000; ++unit) {
    for (int read = 0; read < 8; ++read) cache.Read(unit);
  }
  int kept = 0;
  for (uint64_t unit = 0; unit < 50; ++unit) kept += cache.Read(unit) ? 1 : 0;
  EXPECT_GE(kept, 45);
}

TEST(EvictionPolicy, WhatComesBackSoonStays) {
  Cache cache(20);
  for (uint64_t unit = 0; unit < 25; ++unit) cache.Read(unit);
  EXPECT_FALSE(cache.Read(0)) << "it went";
  for (uint64_t unit = 100; unit < 117; ++unit) cache.Read(unit);
  EXPECT_TRUE(cache.Read(0)) << "it came back, so it goes after what is new";
}

TEST(EvictionPolicy, PassesOverWhatMayNotGo) {
  EvictionPolicy policy;
  for (uint64_t unit = 0; unit < 10; ++unit) policy.Resize(Unit(unit), kBytes);
  EXPECT_EQ(policy.TakeVictim([](const UnitKey& key) { return key.unit == 7; }), Unit(7));
  EXPECT_EQ(policy.TakeVictim([](const UnitKey&) { return false; }), std::nullopt);
  EXPECT_EQ(policy.size(), 9U);
  EXPECT_EQ(policy.bytes(), 9 * kBytes);
}

TEST(EvictionPolicy, CountsBytes) {
  EvictionPolicy policy;
  policy.Resize(Unit(1), 10);
  policy.Resize(Unit(1), 30);
  policy.InsertMain(Unit(2), 5);
  policy.InsertMain(Unit(1), 20);
  EXPECT_EQ(policy.bytes(), 25U);
  policy.Resize(Unit(1), 0);
  policy.Remove(Unit(3));
  EXPECT_EQ(policy.bytes(), 5U);
  EXPECT_EQ(policy.TakeVictim(Any), Unit(2));
  EXPECT_EQ(policy.TakeVictim(Any), std::nullopt);
}

}  // namespace
}  // namespace s3overlay
