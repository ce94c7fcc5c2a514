// SPDX-License-Identifier: Apache-2.0
//
// Which blocks are believed: those that were held to their checksum since the file was last changed, by whomever.
#include "cache/object_table.h"

#include <gtest/gtest.h>

#include <memory>

#include "support/fake_clock.h"

namespace s3overlay {
namespace {

class ObjectTableTest : public ::testing::Test {
 protected:
  ObjectTableTest() {
    table_.Insert(object_);
    table_.AddBlock(object_, 0, 17);
  }

  static ObjectRow MakeRow() {
    ObjectRow row;
    row.file = {.inode = 1, .size = 8192};
    row.changed_ns = 1;
    return row;
  }
  BlockPin Pin() { return *table_.Pin(object_->name, 0); }
  bool IsBelieved() {
    const BlockPin pin = Pin();
    table_.Unpin(pin, ReadOutcome::kNotTried);
    return pin.checked;
  }
  void Verify() { table_.Unpin(Pin(), ReadOutcome::kVerified); }
  void Change(int64_t changed_ns) { table_.SetStatus(object_, {.allocated = 4096, .changed_ns = changed_ns}); }

  testing::FakeClock clock_;
  ObjectTable table_{{.block_size = 4096}, clock_};
  const ObjectPtr object_ = std::make_shared<CachedObject>(MakeRow(), 4096);
};

// Somebody may have written to the file while we did.
TEST_F(ObjectTableTest, ANewBlockIsNotBelieved) {
  EXPECT_FALSE(IsBelieved());
  Verify();
  EXPECT_TRUE(IsBelieved());
}

TEST_F(ObjectTableTest, NorIsAnyAfterAChange) {
  Verify();
  Change(1);
  EXPECT_TRUE(IsBelieved()) << "there was none";
  Change(2);
  EXPECT_FALSE(IsBelieved());
  Verify();
  EXPECT_TRUE(IsBelieved());
}

TEST_F(ObjectTableTest, WhatWasVerifiedBeforeAChangeIsNotBelievedAfterIt) {
  const BlockPin pin = Pin();
  Change(2);
  EXPECT_TRUE(table_.Unpin(pin, ReadOutcome::kVerified)) << "the bytes were right when they were read";
  EXPECT_FALSE(IsBelieved());
}

TEST_F(ObjectTableTest, NorIsWhatTheKernelMayHaveReadByItself) {
  table_.AddBlock(object_, 1, 18);
  const auto drops = table_.BeginCheck(object_);
  ASSERT_TRUE(drops);
  ASSERT_TRUE(table_.EndCheck(object_, {.verdict = CheckVerdict::kComplete, .changed_ns = 1}, *drops));
  Verify();
  EXPECT_TRUE(IsBelieved());
  ASSERT_TRUE(table_.Lend(object_->name));
  EXPECT_FALSE(IsBelieved());
}

}  // namespace
}  // namespace s3overlay
