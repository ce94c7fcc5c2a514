// SPDX-License-Identifier: Apache-2.0
#include "cache/data_file.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace s3overlay {
namespace {

class DataFileOpenAtOnceTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = 8192;

  void SetUp() override {
    auto made = DataFile::Create(path_, kSize);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE((*made)->Write(0, content_));
    identity_ = (*made)->identity();
    // Some kernels and file systems cannot tell what they know from what they would have to look up.
    if (DataFile::OpenAtOnce(path_, identity_) == nullptr) GTEST_SKIP() << "the kernel always looks paths up here";
  }

  const testing::TempDir dir_;
  const std::string path_ = dir_.path() / "file";
  const std::vector<std::byte> content_ = std::vector(kSize, std::byte{7});
  FileIdentity identity_;
};

TEST_F(DataFileOpenAtOnceTest, ReadsAndDoesNotWrite) {
  const auto file = DataFile::OpenAtOnce(path_, identity_);
  std::vector<std::byte> read(kSize);
  ASSERT_TRUE(file->ReadAtOnce(0, read));
  EXPECT_EQ(read, content_);
  EXPECT_FALSE(file->is_writable());
}

TEST_F(DataFileOpenAtOnceTest, AnotherFileIsRefused) {
  // The first one is still there, so that its inode is not used again.
  std::filesystem::rename(path_, dir_.path() / "before");
  EXPECT_EQ(DataFile::OpenAtOnce(path_, identity_), nullptr) << "nothing is there";
  ASSERT_TRUE(DataFile::Create(path_, kSize));
  EXPECT_EQ(DataFile::OpenAtOnce(path_, identity_), nullptr);
}

TEST_F(DataFileOpenAtOnceTest, AFileOfAnotherSizeIsRefused) {
  std::filesystem::resize_file(path_, kSize - 1);
  EXPECT_EQ(DataFile::OpenAtOnce(path_, identity_), nullptr);
}

TEST_F(DataFileOpenAtOnceTest, ALinkIsNotFollowed) {
  std::filesystem::rename(path_, dir_.path() / "before");
  std::filesystem::create_symlink("before", path_);
  EXPECT_EQ(DataFile::OpenAtOnce(path_, identity_), nullptr);
}

}  // namespace
}  // namespace s3overlay
