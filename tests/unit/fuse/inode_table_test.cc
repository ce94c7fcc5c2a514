// SPDX-License-Identifier: Apache-2.0
#include "fuse/inode_table.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace s3overlay {
namespace {

Entry File(const std::string& version, const std::string& source = "s3://bucket/f") {
  Entry entry;
  entry.source = source;
  entry.version = version;
  return entry;
}

Entry Directory() {
  Entry entry;
  entry.attributes.type = FileType::kDirectory;
  return entry;
}

class InodeTableTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  InodeTable table_{clock_};
};

TEST_F(InodeTableTest, ANodeIsAPathASourceAVersionAndAMode) {
  const NodePtr node = table_.Remember("f", File("1"), false);
  EXPECT_EQ(table_.Remember("f", File("1"), false), node);
  for (const NodePtr& other :
       {table_.Remember("g", File("1"), false), table_.Remember("f", File("2"), false),
        table_.Remember("f", File("2", "/local/f"), false), table_.Remember("f", File("2", "/local/f"), true)}) {
    EXPECT_NE(other->id(), node->id());
  }
  EXPECT_EQ(table_.Find(node->id()), node);  // An old handle's node stays.
}

TEST_F(InodeTableTest, ADirectoryBelongsToItsPath) {
  Entry other = Directory();
  other.source = "elsewhere";
  EXPECT_EQ(table_.Remember("d", Directory(), false), table_.Remember("d", other, false));
}

TEST_F(InodeTableTest, InodeNumbersFollowVersionsAndLastLongerThanNodes) {
  const NodePtr one = table_.Remember("f", File("1"), false);
  table_.Forget(one->id(), 1);
  const NodePtr again = table_.Remember("f", File("1"), false);
  EXPECT_NE(again->id(), one->id());  // Ids are never used again.
  EXPECT_EQ(again->inode_number(), one->inode_number());
  EXPECT_NE(table_.Remember("f", File("2"), false)->inode_number(), one->inode_number());
}

TEST_F(InodeTableTest, ForgetCountsExactly) {
  const fuse_ino_t id = table_.Remember("f", File("1"), false)->id();
  table_.Remember("f", File("1"), false);
  table_.Remember("f", File("1"), false);
  table_.Forget(id, 2);
  EXPECT_NE(table_.Find(id), nullptr);
  table_.Forget(id, 1);
  EXPECT_EQ(table_.Find(id), nullptr);
  EXPECT_EQ(table_.size(), 1U);
  table_.Forget(FUSE_ROOT_ID, 1);
  EXPECT_NE(table_.Find(FUSE_ROOT_ID), nullptr);
}

TEST_F(InodeTableTest, ForgettingAnOldVersionKeepsTheCurrentOne) {
  const NodePtr old = table_.Remember("f", File("1"), false);
  const NodePtr current = table_.Remember("f", File("2"), false);
  table_.Forget(old->id(), 1);
  EXPECT_EQ(table_.Remember("f", File("2"), false), current);
}

TEST_F(InodeTableTest, AnOpenIsRefusedOnceAndOnlyWhereTheKernelWouldFindAnotherNode) {
  const NodePtr old = table_.Remember("f", File("1"), false);
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_FALSE(table_.ShouldRefuseOpen(*old));  // It is the current one.
  const NodePtr current = table_.Remember("f", File("2"), false);
  EXPECT_TRUE(table_.ShouldRefuseOpen(*old));
  EXPECT_FALSE(table_.ShouldRefuseOpen(*old));  // /proc/self/fd, a bind mount: the kernel came with the same node.
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_FALSE(table_.ShouldRefuseOpen(*old));  // And does so for as long as it is there.
  EXPECT_FALSE(table_.ShouldRefuseOpen(*current));
}

TEST_F(InodeTableTest, ANodeThatWasJustLookedUpIsNotRefused) {
  const NodePtr old = table_.Remember("f", File("1"), false);
  table_.Remember("f", File("2"), false);
  EXPECT_FALSE(table_.ShouldRefuseOpen(*old));  // The name flaps.
}

TEST_F(InodeTableTest, AVersionThatIsGoneIsRefusedOnceEvenWhenTheLookupAnswersItAgain) {
  const NodePtr node = table_.Remember("f", File("1"), false);
  EXPECT_TRUE(table_.ShouldRefuseGoneVersion(*node));
  table_.Remember("f", File("1"), false);
  EXPECT_FALSE(table_.ShouldRefuseGoneVersion(*node));
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_TRUE(table_.ShouldRefuseGoneVersion(*node));
}

TEST_F(InodeTableTest, TheOldestNodesComeFirstAndEachOnceARound) {
  const fuse_ino_t directory = table_.Remember("d", Directory(), false)->id();
  for (const char* const path : {"d/first", "d/second", "third"}) table_.Remember(path, File("1"), false);
  table_.Remember("d/first", File("1"), false);
  std::string order;
  for (int i = 0; i < 5; ++i) {
    const auto oldest = table_.TakeOldest(1);
    ASSERT_EQ(oldest.size(), 1U);
    order += oldest[0].path + " ";
  }
  EXPECT_EQ(order, "d d/second third d/first d ");
  const auto all = table_.TakeOldest(100);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].dentry.parent, directory);
  EXPECT_EQ(all[0].dentry.name, "second");
}

TEST_F(InodeTableTest, AFileIsIdleWhileItHasItsNameAndADirectoryNever) {
  table_.Remember("d", Directory(), false);
  table_.Remember("f", File("1"), false);
  EXPECT_FALSE(table_.TakeOldest(1)[0].is_idle_file);
  EXPECT_TRUE(table_.TakeOldest(1)[0].is_idle_file);
  table_.Remember("f", File("2"), false);  // Its name is another node's now.
  for (const bool idle : {false, false, true}) EXPECT_EQ(table_.TakeOldest(1)[0].is_idle_file, idle);
}

TEST_F(InodeTableTest, WhatIsNotFreshIsNamed) {
  Entry degraded = File("1");
  degraded.state = FileState::kDegraded;
  table_.Remember("f", degraded, false);
  table_.Remember("g", File("1"), false);
  const auto names = table_.NotFresh();
  ASSERT_EQ(names.size(), 1U);
  EXPECT_EQ(names[0].parent, FUSE_ROOT_ID);
  EXPECT_EQ(names[0].name, "f");
  table_.Remember("f", File("1"), false);
  EXPECT_TRUE(table_.NotFresh().empty());
}

}  // namespace
}  // namespace s3overlay
