// SPDX-License-Identifier: Apache-2.0
#include "fuse/passthrough.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "support/memory_file_source.h"

namespace s3overlay {
namespace {

// The kernel's table; it refuses where it is told to.
class FakeRegistry final : public BackingRegistry {
 public:
  int Open(const Request&, int fd) override {
    ++asked_;
    if (refusal_ != 0) return -refusal_;
    files_[++last_id_] = fd;
    return last_id_;
  }
  void Close(const Request&, int id) override { EXPECT_EQ(files_.erase(id), 1U) << id; }

  void Refuse(int sys_errno) { refusal_ = sys_errno; }
  size_t open() const { return files_.size(); }
  int asked() const { return asked_; }

 private:
  std::map<int, int> files_;
  int last_id_ = 0;
  int asked_ = 0;
  int refusal_ = 0;
};

class PassthroughTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    fuse_conn_info connection{};
    connection.capable = FUSE_CAP_PASSTHROUGH;
    passthrough_.Negotiate(&connection);
    ASSERT_TRUE(passthrough_.on()) << passthrough_.reason();
#else
    GTEST_SKIP() << "libfuse has no passthrough";
#endif
    source_.AddFile("f", "bytes");
    source_.SetBackingFile("f");
    const auto entry = source_.Lookup("f", {});
    ASSERT_TRUE(entry);
    const auto file = source_.Open(*entry, {});
    ASSERT_TRUE(file);
    file_ = *file;
  }

  // One file serves as every node's: the table does not look into it.
  HandleMode Open(fuse_ino_t node) {
    fuse_file_info file{};
    return passthrough_.Acquire(Request(nullptr), node, true, *file_, &file);
  }
  void Close(fuse_ino_t node, HandleMode mode) { passthrough_.Release(Request(nullptr), node, mode); }

  static constexpr size_t kMost = 3;
  testing::MemoryFileSource source_;
  std::shared_ptr<OpenFile> file_;
  FakeRegistry registry_;
  Passthrough passthrough_{{.max_backing_files = kMost}, registry_};
};

TEST_F(PassthroughTest, ARefusalOfOneOpenIsNoneOfTheNext) {
  for (const int sys_errno : {ENOMEM, ENOSPC, EBADF, EACCES, EINVAL, EMFILE, EINTR, EIO}) {
    registry_.Refuse(sys_errno);
    EXPECT_EQ(Open(1), HandleMode::kCached) << sys_errno;
    Close(1, HandleMode::kCached);
    registry_.Refuse(0);
    const HandleMode mode = Open(1);
    EXPECT_EQ(mode, HandleMode::kPassthrough) << sys_errno;
    Close(1, mode);
  }
  EXPECT_EQ(passthrough_.reason(), "");
}

TEST_F(PassthroughTest, AFileSystemThatTheKernelDoesNotTakeIsAskedAboutOnce) {
  for (const int sys_errno : {ELOOP, EOPNOTSUPP}) {
    FakeRegistry registry;
    registry.Refuse(sys_errno);
    Passthrough passthrough({}, registry);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    fuse_conn_info connection{};
    connection.capable = FUSE_CAP_PASSTHROUGH;
    passthrough.Negotiate(&connection);
#endif
    for (fuse_ino_t node = 1; node < 4; ++node) {
      fuse_file_info file{};
      EXPECT_EQ(passthrough.Acquire(Request(nullptr), node, true, *file_, &file), HandleMode::kCached);
    }
    EXPECT_EQ(registry.asked(), 1) << sys_errno;
    EXPECT_TRUE(passthrough.on());
    EXPECT_NE(passthrough.reason(), "");
  }
}

TEST_F(PassthroughTest, WithoutTheCapabilityItIsOffForGood) {
  registry_.Refuse(EPERM);
  EXPECT_EQ(Open(1), HandleMode::kCached);
  EXPECT_FALSE(passthrough_.on());
  EXPECT_EQ(Open(2), HandleMode::kCached);
  EXPECT_EQ(registry_.asked(), 1);
}

TEST_F(PassthroughTest, HandlesOfOneNodeShareItsBackingFile) {
  EXPECT_EQ(Open(1), HandleMode::kPassthrough);
  EXPECT_EQ(Open(1), HandleMode::kPassthrough);
  EXPECT_EQ(registry_.open(), 1U);
  Close(1, HandleMode::kPassthrough);
  EXPECT_EQ(registry_.open(), 1U);
  Close(1, HandleMode::kPassthrough);
  EXPECT_EQ(registry_.open(), 0U);
}

TEST_F(PassthroughTest, BeyondTheLimitOpensGoThroughTheDaemon) {
  for (fuse_ino_t node = 1; node <= kMost; ++node) EXPECT_EQ(Open(node), HandleMode::kPassthrough);
  EXPECT_EQ(Open(10), HandleMode::kCached);
  EXPECT_EQ(Open(1), HandleMode::kPassthrough);  // It has a backing file.
  EXPECT_EQ(registry_.open(), kMost);
  Close(2, HandleMode::kPassthrough);
  EXPECT_EQ(Open(11), HandleMode::kPassthrough);
  EXPECT_EQ(Open(12), HandleMode::kCached);
}

TEST_F(PassthroughTest, AnOpenThatNobodyTookHoldsNothingForLong) {
  for (fuse_ino_t node = 1; node <= 10 * kMost; ++node) {
    const HandleMode mode = Open(node);
    EXPECT_EQ(mode, HandleMode::kPassthrough) << node;
    passthrough_.Abandon(node, mode);
    EXPECT_EQ(registry_.open(), 1U);
  }
}

}  // namespace
}  // namespace s3overlay
