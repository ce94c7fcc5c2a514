// SPDX-License-Identifier: Apache-2.0
#include "fuse/kernel_readahead.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "support/temp_dir.h"

namespace s3overlay {
namespace {

class KernelReadaheadTest : public ::testing::Test {
 protected:
  std::string Setting() const {
    std::ifstream file(file_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Set(const std::string& text) const { std::ofstream(file_) << text; }

  const testing::TempDir dir_;
  const std::string file_ = dir_ / "read_ahead_kb";
  KernelReadahead readahead_;
};

TEST_F(KernelReadaheadTest, IsWrittenWhereItChanges) {
  Set("128\n");
  readahead_.Attach(file_);
  EXPECT_EQ(Setting(), "128\n") << "nobody has opened anything";
  readahead_.Choose(ReadaheadReach::kLong);
  EXPECT_EQ(Setting(), "1024\n");
  Set("64\n");  // Somebody else.
  readahead_.Choose(ReadaheadReach::kLong);
  EXPECT_EQ(Setting(), "64\n") << "written without a change";
  Set("");  // The kernel's file forgets what is written into it; this one would keep the longer number's end.
  readahead_.Choose(ReadaheadReach::kShort);
  EXPECT_EQ(Setting(), "128\n");
}

TEST_F(KernelReadaheadTest, WhereItCannotBeSetNothingHappens) {
  readahead_.Choose(ReadaheadReach::kLong);
  readahead_.Attach(dir_ / "absent");
  readahead_.Choose(ReadaheadReach::kShort);
}

}  // namespace
}  // namespace s3overlay
