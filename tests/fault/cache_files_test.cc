// SPDX-License-Identifier: Apache-2.0
//
// Somebody is at the files of the cache of a mount that is in use.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "fault/reader_load.h"
#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

namespace fs = std::filesystem;

class CacheFiles : public MountTest {
 protected:
  void PutFiles(int count, size_t size) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "object-" + std::to_string(i);
      files_.push_back({.path = sandbox().mountpoint() + "/" + name, .content = Pattern(size, 10 + files_.size())});
      Put(name, files_.back().content);
    }
  }

  std::vector<fs::path> DataFiles() const {
    std::vector<fs::path> paths;
    std::error_code error;
    fs::recursive_directory_iterator entry(fs::path(CacheDirectory()) / "data", error);
    for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
      if (entry->is_regular_file(error)) paths.push_back(entry->path());
    }
    return paths;
  }

  std::string CacheDirectory() const { return fs::path(LocalDirectory()).parent_path() / "cache"; }

  static void Damage(const fs::path& path, uint64_t random) {
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error || size == 0) return;
    switch (random % 5) {
      case 0: fs::resize_file(path, (random >> 8) % size, error); break;
      case 1: fs::remove(path, error); break;
      case 2:
        fs::copy_file(path, path.string() + ".copy", error);
        fs::rename(path.string() + ".copy", path, error);
        break;
      default:
        for (uint64_t at = (random >> 8) % 4096; at < size; at += 4096 * 9) {
          std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
          file.seekg(static_cast<std::streamoff>(at));
          const char byte = static_cast<char>(file.get() ^ 0x40);
          file.seekp(static_cast<std::streamoff>(at));
          file.put(byte);
        }
    }
  }

  std::vector<LoadedFile> files_;
};

// Through the daemon: what the kernel reads by itself is not looked at by anybody (docs/semantics.md).
TEST_F(CacheFiles, DamagedUnderLoadGiveNoWrongByte) {
  PutFiles(12, 900 * kKiB);
  MountStore({"--no-passthrough", "--memory-limit", "16M"});
  std::mt19937_64 random(7);
  for (int run = 0; run < 2 && !HasFailure(); ++run) {
    ReaderLoad load(files_, 4);
    for (int i = 0; i < 25; ++i) {
      for (const fs::path& path : DataFiles()) {
        if (random() % 3 == 0) Damage(path, random());
      }
      ::sync();
      std::ofstream("/proc/sys/vm/drop_caches") << 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    load.Stop();
    // And between runs: the large hammer.
    Unmount();
    for (const fs::path& path : DataFiles()) Damage(path, random());
    MountStore({"--no-passthrough", "--memory-limit", "16M"});
    for (const LoadedFile& file : files_) EXPECT_TRUE(Holds(file.path, file.content)) << file.path;
  }
}

TEST_F(CacheFiles, VerifyFindsAFlippedBitAndTheNextReadGetsItAgain) {
  PutFiles(1, 3 * kMiB);
  MountStore();
  ASSERT_TRUE(Holds(files_[0].path, files_[0].content));
  ASSERT_TRUE(ComesToCache("object-0"));
  Unmount();
  ASSERT_EQ(DataFiles().size(), 1U);
  Damage(DataFiles().front(), 3);
  MountStore();
  EXPECT_EQ(sandbox().Run({"cache", "verify", sandbox().mountpoint()}).exit_code, 1);
  EXPECT_EQ(sandbox().Run({"cache", "verify", sandbox().mountpoint()}).exit_code, 0);
  const int before = proxy().Count("GET", "object-0");
  EXPECT_TRUE(Holds(files_[0].path, files_[0].content));
  EXPECT_GT(proxy().Count("GET", "object-0"), before);
}

// open; mmap; close: the daemon sees a release, and the mapping lives on.
TEST_F(CacheFiles, AMappingNeverShowsZeros) {
  PutFiles(6, 6 * kMiB);
  MountStore({"--cache-size", "16M"});
  std::vector<char*> mappings;
  for (int i = 0; i < 2; ++i) {
    const std::string name = "object-" + std::to_string(i);
    ASSERT_TRUE(Holds(files_[static_cast<size_t>(i)].path, files_[static_cast<size_t>(i)].content));
    ASSERT_TRUE(ComesToCache(name));
    ASSERT_TRUE(Eventually([&] {
      (void)OpenError(At(name));
      return mount().Resolve(name).value("passthrough", false) || !mount().Status()["fuse"]["passthrough"]["on"];
    }));
    const UniqueFd fd(::open(At(name).c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(fd.is_open());
    mappings.push_back(static_cast<char*>(::mmap(nullptr, 6 * kMiB, PROT_READ, MAP_SHARED, fd.get(), 0)));
    ASSERT_NE(static_cast<void*>(mappings.back()), MAP_FAILED);
  }
  const auto compare = [&](const char* when) {
    for (size_t i = 0; i < mappings.size(); ++i) {
      EXPECT_EQ(std::string_view(mappings[i], 6 * kMiB), files_[i].content) << when << ", " << i;
    }
  };
  for (size_t i = 2; i < files_.size(); ++i) EXPECT_TRUE(Holds(files_[i].path, files_[i].content));
  compare("after eviction");
  EXPECT_EQ(sandbox().Run({"cache", "clear", sandbox().mountpoint()}).exit_code, 0);
  compare("after clear");
  for (size_t i = 2; i < files_.size(); ++i) EXPECT_TRUE(Holds(files_[i].path, files_[i].content));
  compare("after another load");
  for (char* const mapping : mappings) ::munmap(mapping, 6 * kMiB);
}

TEST_F(CacheFiles, RemovedUnderLoadANewCacheAppears) {
  PutFiles(10, 2 * kMiB);
  MountStore({"--memory-limit", "16M"});
  {
    ReaderLoad load(files_, 4);
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      std::error_code error;
      fs::remove_all(CacheDirectory(), error);
    }
    load.Stop();
  }
  EXPECT_TRUE(Holds(files_[0].path, files_[0].content));
  EXPECT_TRUE(Eventually([&] {
    // What the kernel or the daemon still has in memory writes nothing anew.
    std::ofstream("/proc/sys/vm/drop_caches") << 1;
    for (const LoadedFile& file : files_) (void)ReadWhole(file.path);
    return fs::exists(CacheDirectory() + "/index.sqlite") && !DataFiles().empty();
  }));
  Unmount();
  MountStore();
  EXPECT_TRUE(Holds(files_[0].path, files_[0].content));
}

}  // namespace
}  // namespace s3overlay::testing
