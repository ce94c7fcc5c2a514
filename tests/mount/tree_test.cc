// SPDX-License-Identifier: Apache-2.0
//
// Trees of files in S3 and beside it, compared byte for byte between the mount and what they were made of: cold, and
// again from the cache without one more GET.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "support/mount/mount_test.h"

namespace s3overlay::testing {
namespace {

constexpr size_t kBlock = 128 * kKiB;

using Contents = std::map<std::string, std::string>;  // By path.

class Tree : public MountTest {
 protected:
  void PutAll(const Contents& files) {
    for (const auto& [path, bytes] : files) Put(path, bytes);
  }
  void ExpectAll(const Contents& files) const {
    for (const auto& [path, bytes] : files) {
      ASSERT_TRUE(Holds(At(path), bytes));
      ASSERT_EQ(StatOf(At(path)).st_size, static_cast<off_t>(bytes.size())) << path;
    }
  }
  size_t CountFiles() const {
    const std::filesystem::recursive_directory_iterator all(At(""));
    return static_cast<size_t>(std::count_if(begin(all), end(all), [](const auto& e) { return e.is_regular_file(); }));
  }

  // Walks and reads everything, in a first mount and in a second one, and expects the second to ask for no object.
  void ExpectAllTwice(const Contents& in_store, const Contents& local) {
    int gets = 0;
    for (const bool first : {true, false}) {
      MountBoth({"--metadata-ttl", "300s", "--negative-ttl", "300s"});
      EXPECT_EQ(CountFiles(), in_store.size() + local.size());
      ExpectAll(in_store);
      ExpectAll(local);
      if (first) gets = proxy().Count("GET");
    }
    EXPECT_GT(gets, 0);
    EXPECT_EQ(proxy().Count("GET"), gets);
  }
};

TEST_F(Tree, FilesOfEverySizeAroundTheBlocks) {
  Contents files;
  uint64_t seed = 0;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4095}, kBlock - 1, kBlock, kBlock + 1, kMiB - 1, kMiB,
                            kMiB + 1, 8 * kMiB - 1, 8 * kMiB + 1}) {
    files["size-" + std::to_string(size)] = Pattern(size, ++seed);
  }
  PutAll(files);
  Contents local;
  for (const auto& [path, bytes] : files) local["local/" + path] = bytes;
  for (const auto& [path, bytes] : local) WriteLocal(path, bytes);
  ExpectAllTwice(files, local);
}

TEST_F(Tree, OddNamesAndDeepPaths) {
  Contents files;
  for (const char* const name : {"with space", " leading",   "trailing ",
                                 "a+b",        "100%",       "%41",
                                 "%2F",        "~tilde",     "(parentheses)",
                                 "a=b&c=d",    "#hash",      "question?mark",
                                 "semi;colon", "quote\"s'",  "back\\slash",
                                 "star*",      "[brackets]", "comma,",
                                 "at@",        "dollar$",    "\xC3\xBC-\xE6\xBC\xA2-\xF0\x9F\x98\x80",
                                 "new\nline",  "tab\there",  "...",
                                 ".hidden",    "-dash",      "<xml>&amp;",
                                 "a:b"}) {
    files[std::string("odd/") + name] = std::string("content of ") + name;
  }
  std::string deep = "deep";
  for (int i = 0; i < 60; ++i) deep += "/level-" + std::to_string(i);
  files[deep + "/file"] = Pattern(1000);
  PutAll(files);
  WriteLocal("odd/local only", "local");
  ExpectAllTwice(files, {{"odd/local only", "local"}});
}

void ForEachInParallel(const Contents& files, const std::function<void(const std::string&, const std::string&)>& work) {
  constexpr int kWorkers = 8;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] {
      int i = 0;
      for (const auto& [path, bytes] : files) {
        if (i++ % kWorkers == worker) work(path, bytes);
      }
    });
  }
  for (std::thread& thread : workers) thread.join();
}

// More than the pages of a listing and the pages of a directory hold, from both layers.
TEST_F(Tree, TenThousandFiles) {
  constexpr int kInStore = 2'200;
  constexpr int kLocal = 7'800;
  Contents in_store;
  Contents local;
  for (int i = 0; i < kInStore; ++i) in_store["many/s3-" + std::to_string(i)] = "object " + std::to_string(i);
  for (int i = 0; i < kLocal; ++i) local["many/local-" + std::to_string(i)] = "file " + std::to_string(i);
  ForEachInParallel(in_store, [&](const std::string& path, const std::string& bytes) { Put(path, bytes); });
  for (const auto& [path, bytes] : local) WriteLocal(path, bytes);
  ExpectAllTwice(in_store, local);
  ForEachInParallel(in_store, [&](const std::string& path, const std::string&) { Delete(path); });
}

TEST_F(Tree, AHundredMegabytes) {
  const std::string object = Pattern(100'000'000);
  Put("large.bin", object);
  MountStore({"--metadata-ttl", "300s"});
  EXPECT_TRUE(Holds(At("large.bin"), object));
  // The cache may drop what it cannot write as fast as it comes: read again until it has everything.
  for (int round = 0; round < 10 && !mount().Resolve("large.bin").value("complete", false); ++round) {
    MountStore({"--metadata-ttl", "300s"});
    EXPECT_TRUE(Holds(At("large.bin"), object));
  }
  EXPECT_TRUE(ComesToCache("large.bin"));
  MountStore({"--metadata-ttl", "300s"});
  const int gets = proxy().Count("GET");
  EXPECT_TRUE(Holds(At("large.bin"), object));
  EXPECT_EQ(proxy().Count("GET"), gets);
}

void ReadAtRandom(const std::string& path, const std::string& expected, uint64_t seed) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.is_open());
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100; ++i) {
    const size_t offset = random() % (expected.size() + 1000);  // Sometimes past the end.
    const size_t size = random() % (300 * kKiB);
    const size_t there = offset < expected.size() ? std::min(size, expected.size() - offset) : 0;
    const auto wanted = std::string_view(expected).substr(std::min(offset, expected.size()), there);
    ASSERT_TRUE(SameBytes(ReadAt(fd.get(), offset, size), wanted)) << offset << "+" << size;
  }
}

TEST_F(Tree, EightThreadsReadOneFileAtRandom) {
  const std::string object = Pattern(24 * kMiB + 12'345);
  Put("shared", object);
  MountStore();
  std::vector<std::thread> readers;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    readers.emplace_back([&, seed] { ReadAtRandom(At("shared"), object, seed); });
  }
  for (std::thread& reader : readers) reader.join();
  ASSERT_TRUE(Holds(At("shared"), object));
}

TEST_F(Tree, WithoutACacheEverythingIsReadAsWell) {
  const std::string object = Pattern(9 * kMiB + 1);
  Put("a", object);
  MountOptions options;
  options.cache = false;
  options.arguments = {"--layer", S3Layer()};
  MountWith(options);
  EXPECT_TRUE(Holds(At("a"), object));
  ReadAtRandom(At("a"), object, 1);
  EXPECT_FALSE(std::filesystem::exists(sandbox().cache()));
}

}  // namespace
}  // namespace s3overlay::testing
