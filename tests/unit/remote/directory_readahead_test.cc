// SPDX-License-Identifier: Apache-2.0
#include "remote/directory_readahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace s3overlay {
namespace {

TEST(DirectoryReadaheadTest, ReaderInOrderHasTheNextFilesAheadAndEachIsNamedOnce) {
  DirectoryReadahead ahead(1000);
  std::set<size_t> named;
  size_t late = 0;
  for (size_t i = 0; i < 1000; ++i) {
    late += i > 2 && !named.contains(i) ? 1 : 0;
    for (const size_t next : ahead.OnOpen(i)) {
      EXPECT_GT(next, i);
      EXPECT_LE(next, i + 256);
      EXPECT_TRUE(named.insert(next).second) << next;
    }
  }
  EXPECT_EQ(late, 0U);
  EXPECT_GE(named.size(), 990U);
}

TEST(DirectoryReadaheadTest, OneOpenProvesNothing) {
  DirectoryReadahead ahead(1000);
  EXPECT_TRUE(ahead.OnOpen(0).empty());
  EXPECT_TRUE(ahead.OnOpen(500).empty());
  EXPECT_EQ(ahead.OnOpen(501).size(), 16U);
}

TEST(DirectoryReadaheadTest, AReaderWhoJumpsHasToProveMoreEachTime) {
  DirectoryReadahead ahead(100'000);
  size_t named = 0;
  for (size_t pair = 0; pair < 60; ++pair) {
    for (const size_t i : {pair * 1000, pair * 1000 + 1, pair * 1000 + 2}) named += ahead.OnOpen(i).size();
  }
  EXPECT_LE(named, 3 * 17U);
}

TEST(DirectoryReadaheadTest, FilesMayBeLeftOutInOrder) {
  DirectoryReadahead ahead(1000);
  ahead.OnOpen(0);
  EXPECT_FALSE(ahead.OnOpen(2).empty());
  EXPECT_TRUE(ahead.OnOpen(100).empty());
}

TEST(DirectoryReadaheadTest, AnEpochInShuffledOrderIsFetchedAhead) {
  constexpr size_t kFiles = 10'000;
  DirectoryReadahead ahead(kFiles);
  std::vector<size_t> order(kFiles);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::set<size_t> named;
  size_t hits = 0;
  for (const size_t i : order) {
    hits += named.contains(i) ? 1 : 0;
    for (const size_t next : ahead.OnOpen(i)) EXPECT_TRUE(named.insert(next).second);
  }
  EXPECT_GE(hits, kFiles * 6 / 10);
}

TEST(DirectoryReadaheadTest, WhoWantsAFewFilesOfManyIsLeftAlone) {
  constexpr size_t kFiles = 10'000;
  DirectoryReadahead ahead(kFiles);
  std::mt19937 random(2);
  size_t named = 0;
  // Again and again from the last thousand, where nothing is named first.
  for (int i = 0; i < 20'000; ++i) named += ahead.OnOpen(9'000 + random() % 1'000).size();
  EXPECT_LE(named, 4'000U);
  EXPECT_TRUE(DirectoryReadahead(0).OnOpen(0).empty());
}

TEST(DirectoryReadaheadTest, NoMoreAreAheadThanThereIsMemoryFor) {
  constexpr size_t kMost = 5;
  DirectoryReadahead in_order(100);
  for (size_t i = 0; i < 50; ++i) {
    for (const size_t next : in_order.OnOpen(i, kMost)) EXPECT_LE(next, i + kMost);
  }
  EXPECT_EQ(in_order.OnOpen(50, 2 * kMost).size(), kMost + 1) << "and more when there is";

  constexpr size_t kFiles = 1'000;
  DirectoryReadahead shuffled(kFiles);
  std::set<size_t> ahead;
  for (size_t i = 0; i < 500; ++i) {
    const size_t opened = i * 37 % kFiles;
    ahead.erase(opened);
    for (const size_t next : shuffled.OnOpen(opened, kMost)) ahead.insert(next);
    EXPECT_LE(ahead.size(), kMost);
  }
}

TEST(DirectoryReadaheadTest, WhatWasRefusedIsNamedAgain) {
  DirectoryReadahead ahead(100);
  ahead.OnOpen(0);
  const auto named = ahead.OnOpen(1);
  ASSERT_EQ(named.size(), 16U);
  for (const size_t position : named) ahead.OnRefused(position);
  const auto again = ahead.OnOpen(2);
  EXPECT_EQ(again.front(), 3U);
  EXPECT_EQ(again.size(), 16U);
}

}  // namespace
}  // namespace s3overlay
