// SPDX-License-Identifier: Apache-2.0
//
// A cache directory whose files come from different moments, or are cut, as a restored backup or a crash leaves them;
// and databases that are damaged under a mount in use.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <thread>

#include "fault/fault_fixture.h"
#include "fault/reader_load.h"
#include "support/directory_snapshot.h"

namespace s3overlay::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;

enum class Copy { kOlder, kNewer, kNone, kCut };
constexpr Copy kCopies[] = {Copy::kOlder, Copy::kNewer, Copy::kNone, Copy::kCut};

const char* NameOf(Copy copy) {
  switch (copy) {
    case Copy::kOlder: return "older";
    case Copy::kNewer: return "newer";
    case Copy::kNone: return "no";
    case Copy::kCut: return "cut";
  }
  return "";
}

class TornCache : public FaultTest {
 protected:
  static constexpr size_t kSize = 1200 * kKiB;  // Handed to the kernel as a whole, too.

  // Of every moment the same size, so that nothing but its ETag tells one version from the other.
  struct Object {
    std::string name;
    std::string older;
    std::string newer;  // Empty: deleted by then.
  };

  void Read(const Object& object, const std::string& content) {
    ASSERT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At(object.name), content)); })) << object.name;
    ASSERT_TRUE(ComesToCache(object.name));
  }
  DirectorySnapshot TakeInUse() {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // Committed by then.
    return DirectorySnapshot(sandbox().cache());
  }
  void LiveTwice() {
    for (const Object& object : objects_) Put(object.name, object.older);
    MountStore();
    for (const Object& object : objects_) Read(object, object.older);
    ASSERT_EQ(ListNames(At("dir")).names.size(), 2U);
    older_.emplace(TakeInUse());
    for (const Object& object : objects_) object.newer.empty() ? Delete(object.name) : Put(object.name, object.newer);
    for (const Object& object : objects_) {
      if (!object.newer.empty()) Read(object, object.newer);
    }
    EXPECT_TRUE(Eventually([&] { return ListNames(At("dir")).names.size() == 1; }));
    newer_.emplace(TakeInUse());
    Unmount();
  }

  void Restore(Copy copy, const std::string& part) {
    (copy == Copy::kOlder ? *older_ : *newer_).Restore(part);
    const fs::path path = fs::path(sandbox().cache()) / part;
    if (copy == Copy::kNone) fs::remove(path);
    if (copy == Copy::kCut && fs::exists(path)) fs::resize_file(path, fs::file_size(path) * 2 / 3 + 100);
  }

  void ExpectOneMomentOrAnError(const Object& object) {
    const ReadOutcome outcome = ReadWhole(At(object.name));
    if (outcome.error != 0) {
      EXPECT_THAT(outcome.error, AnyOf(EIO, ETIMEDOUT)) << object.name;
    } else {
      EXPECT_TRUE(outcome.bytes == object.older || outcome.bytes == object.newer) << object.name;
    }
  }
  void ExpectTheStoresOwn(const Object& object) {
    EXPECT_TRUE(Eventually([&] {
      return object.newer.empty() ? StatError(At(object.name)) == ENOENT
                                  : static_cast<bool>(Holds(At(object.name), object.newer));
    })) << object.name;
  }

  const std::vector<Object> objects_ = {{"whole", Pattern(kSize, 1), Pattern(kSize, 2)},
                                        {"dir/small", Pattern(3000, 3), Pattern(3000, 4)},
                                        {"dir/gone", Pattern(3000, 5), ""}};
  std::optional<DirectorySnapshot> older_;
  std::optional<DirectorySnapshot> newer_;
};

TEST_F(TornCache, FilesOfDifferentMomentsShowOneMomentOrAnError) {
  LiveTwice();
  ASSERT_FALSE(HasFatalFailure());
  int turn = 0;
  for (const Copy metadata : kCopies) {
    for (const Copy log : kCopies) {
      // Of the blocks in turn: tests/unit/cache has every pair of theirs.
      const Copy index = ++turn % 2 == 0 ? Copy::kOlder : Copy::kNewer;
      const Copy data = turn / 2 % 2 == 0 ? Copy::kOlder : Copy::kNewer;
      SCOPED_TRACE(std::string(NameOf(metadata)) + " metadata, " + NameOf(log) + " log of it, " + NameOf(index) +
                   " index, " + NameOf(data) + " data");
      Restore(data, "data/");
      Restore(index, "index.sqlite");
      Restore(metadata, "metadata.sqlite");
      Restore(log, "metadata.sqlite-wal");
      proxy().SetStore(Store::kRefused);
      MountStore({"--op-timeout", "2s"});
      for (const Object& object : objects_) ExpectOneMomentOrAnError(object);
      proxy().SetStore(Store::kUp);
      for (const Object& object : objects_) ExpectTheStoresOwn(object);
      Unmount();
    }
  }
}

class DamagedDatabases : public FaultTest {
 protected:
  // In place, as a disk or a program gone wild does it: garbage somewhere, or an end somewhere.
  void Damage(const std::string& name, uint64_t random) {
    const std::string path = sandbox().cache() + "/" + name;
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error || size == 0) return;
    const uint64_t at = (random >> 8) % size;
    if (random % 3 == 0) return fs::resize_file(path, at, error);
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::string garbage = Pattern(8 * kKiB, random);
    EXPECT_GT(::pwrite(fd.get(), garbage.data(), garbage.size(), random % 3 == 1 ? 0 : static_cast<off_t>(at)), 0);
  }
  void DamageAll() {
    for (const char* const name : {"index.sqlite", "index.sqlite-wal", "metadata.sqlite", "metadata.sqlite-wal"}) {
      if (random_() % 2 == 0) Damage(name, random_());
    }
  }

  std::mt19937_64 random_{11};
};

TEST_F(DamagedDatabases, UnderLoadCostNoReadAndTheNextMountWorks) {
  std::vector<LoadedFile> files;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "dir-" + std::to_string(i % 3) + "/object-" + std::to_string(i);
    files.push_back({.path = sandbox().mountpoint() + "/" + name, .content = Pattern(900 * kKiB, 10 + files.size())});
    Put(name, files.back().content);
  }
  for (int run = 0; run < 3 && !HasFailure(); ++run) {
    MountStore({"--memory-limit", "16M", "--metadata-ttl", "200ms"});
    ReaderLoad load(files, 3);
    for (int i = 0; i < 12; ++i) {
      DamageAll();
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    load.Stop();
    EXPECT_GT(load.bytes(), 0U);
    const double seconds = SecondsOf([&] { EXPECT_EQ(ListNames(At("dir-0")).names.size(), 4U); });
    EXPECT_LT(seconds, Promise(10 + 2)) << "nothing hangs";
    DamageAll();
    Unmount();
    DamageAll();
  }
  MountStore();
  for (const LoadedFile& file : files) EXPECT_TRUE(Holds(file.path, file.content)) << file.path;
  EXPECT_TRUE(ComesToCache("dir-0/object-0")) << "the cache is of use again";
  Unmount();
  proxy().SetStore(Store::kRefused);
  MountStore();
  EXPECT_TRUE(Holds(files[0].path, files[0].content)) << "and what was learned, too";
}

}  // namespace
}  // namespace s3overlay::testing
