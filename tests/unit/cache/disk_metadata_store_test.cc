// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_metadata_store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/fake_clock.h"
#include "support/listings.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr char kScope[] = "https://store/bucket/prefix";

class DiskMetadataStoreTest : public ::testing::Test {
 protected:
  void Reopen() {
    store_.reset();
    auto opened = DiskMetadataStore::Open({.dir = dir_.path(), .max_entries = max_entries_}, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }
  void SetUp() override { Reopen(); }

  CatalogEntry File(const std::string& name, const std::string& etag) {
    ObjectMetadata object;
    object.id = {.store = "https://store",
                 .bucket = "bucket",
                 .key = "prefix/" + name,
                 .etag = etag,
                 .size = 7,
                 .version_id = "v1",
                 .last_modified = clock_.WallNow()};
    object.last_modified = object.id.last_modified;
    object.storage_class = "GLACIER";
    object.archived = true;
    return {.name = name, .object = object, .learned_at = clock_.Now()};
  }
  CatalogEntry Directory(const std::string& name) {
    return {.name = name, .object = std::nullopt, .learned_at = clock_.Now()};
  }
  void KeepListing(const std::string& path, const std::vector<CatalogEntry>& entries) {
    store_->KeepListing(kScope, path, testing::MakeCatalogListing(entries, clock_.Now()));
  }
  std::optional<CatalogEntry> Recall(const std::string& path) { return store_->RecallEntry(kScope, path).value(); }
  std::vector<std::string> Names(const std::string& path) {
    std::vector<std::string> names;
    const auto listing = store_->RecallListing(kScope, path);
    if (listing == nullptr) return {"no listing"};
    for (const CatalogEntry& entry : testing::EntriesOf(*listing)) names.push_back(entry.name);
    return names;
  }

  testing::TempDir dir_;
  testing::FakeClock clock_;
  uint64_t max_entries_ = 1000;
  std::unique_ptr<DiskMetadataStore> store_;
};

TEST_F(DiskMetadataStoreTest, WhatWasKeptIsThereAfterARestartWithItsAge) {
  const CatalogEntry file = File("a.jsonl", "abc");
  store_->KeepEntry(kScope, "dir/a.jsonl", file);
  Reopen();
  clock_.Advance(90s);
  const auto entry = Recall("dir/a.jsonl");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->name, "a.jsonl");
  EXPECT_EQ(entry->object->id, file.object->id);
  EXPECT_EQ(entry->object->storage_class, "GLACIER");
  EXPECT_TRUE(entry->object->archived);
  EXPECT_EQ(clock_.Now() - entry->learned_at, 90s);
  EXPECT_FALSE(Recall("dir/b.jsonl"));
  EXPECT_FALSE(*store_->RecallEntry("another scope", "dir/a.jsonl"));
}

TEST_F(DiskMetadataStoreTest, ADirectoryIsListedOnlyIfItWasListedWhole) {
  store_->KeepEntry(kScope, "dir/a", File("a", "1"));
  store_->Flush();
  EXPECT_THAT(Names("dir"), ElementsAre("no listing"));
  KeepListing("dir", {File("b", "1"), Directory("c"), File("d", "1")});
  store_->Flush();
  EXPECT_THAT(Names("dir"), ElementsAre("b", "c", "d"));
  EXPECT_FALSE(Recall("dir/a"));
  EXPECT_TRUE(Recall("dir/c")->is_directory());
  EXPECT_TRUE(Recall("dir")->is_directory());
}

TEST_F(DiskMetadataStoreTest, AnEmptyDirectoryIsAListingToo) {
  KeepListing("", {});
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre());
  EXPECT_TRUE(Recall(""));
}

TEST_F(DiskMetadataStoreTest, AProvenAbsenceRemovesTheNameAndWhatIsBelow) {
  KeepListing("", {Directory("dir"), File("dir0", "1")});
  KeepListing("dir", {Directory("sub")});
  KeepListing("dir/sub", {File("x", "1")});
  store_->KeepAbsence(kScope, "dir", clock_.Now());
  Reopen();
  EXPECT_THAT(Names(""), ElementsAre("dir0"));
  EXPECT_FALSE(Recall("dir/sub/x"));
  EXPECT_THAT(Names("dir"), ElementsAre("no listing"));
}

TEST_F(DiskMetadataStoreTest, TheSameListingAgainIsNewsOfItsTimeOnly) {
  KeepListing("", {File("a", "1")});
  clock_.Advance(60s);
  KeepListing("", {File("a", "1")});
  store_->Flush();
  EXPECT_EQ(store_->RecallListing(kScope, "")->learned_at(), clock_.Now());
  EXPECT_EQ(Recall("a")->learned_at, clock_.Now());
  // A name that went and came back with another version in between must not hide behind the same fingerprint.
  clock_.Advance(1s);
  store_->KeepEntry(kScope, "a", File("a", "2"));
  clock_.Advance(1s);
  KeepListing("", {File("a", "1")});
  store_->Flush();
  EXPECT_EQ(Recall("a")->object->id.etag, "1");
  store_->KeepAbsence(kScope, "a", clock_.Now());
  KeepListing("", {File("a", "1")});
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre("a"));
}

TEST_F(DiskMetadataStoreTest, WhatWasLearnedWhileAListingRanStays) {
  const auto began = clock_.Now();
  const auto listing = testing::MakeCatalogListing({File("a", "1"), File("b", "1")}, began);
  store_->KeepEntry(kScope, "gone", File("gone", "1"));
  clock_.Advance(1s);
  store_->KeepEntry(kScope, "a", File("a", "2"));
  store_->KeepEntry(kScope, "new", File("new", "1"));
  store_->KeepListing(kScope, "", listing);
  Reopen();
  EXPECT_THAT(Names(""), ElementsAre("a", "b", "new"));
  EXPECT_EQ(Recall("a")->object->id.etag, "2");
  // The same listing again, and later than all of it.
  clock_.Advance(1s);
  KeepListing("", {File("a", "1"), File("b", "1")});
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre("a", "b"));
  EXPECT_EQ(Recall("a")->object->id.etag, "1");
}

TEST_F(DiskMetadataStoreTest, AnAbsenceThatIsProvedWhileAListingRunsStays) {
  KeepListing("", {File("a", "1"), File("gone", "1")});
  clock_.Advance(1s);
  const auto listing = testing::MakeCatalogListing({File("a", "1"), File("gone", "1")}, clock_.Now());
  const CatalogEntry late = File("gone", "1");
  clock_.Advance(1s);
  store_->KeepAbsence(kScope, "gone", clock_.Now());
  store_->KeepListing(kScope, "", listing);
  store_->KeepEntry(kScope, "gone", late);
  Reopen();
  EXPECT_THAT(Names(""), ElementsAre("a"));
  EXPECT_FALSE(Recall("gone"));
  clock_.Advance(1s);
  store_->KeepEntry(kScope, "gone", File("gone", "2"));
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre("a", "gone")) << "it came back";
}

TEST_F(DiskMetadataStoreTest, ADirectoryThatHasGoneTookItsNamesAlong) {
  KeepListing("", {File("b", "1"), Directory("dir")});
  KeepListing("dir", {File("a", "1"), Directory("sub")});
  KeepListing("dir/sub", {File("c", "1")});
  clock_.Advance(1s);
  KeepListing("", {File("b", "1")});
  Reopen();
  for (const char* const path : {"dir", "dir/a", "dir/sub", "dir/sub/c"}) EXPECT_FALSE(Recall(path)) << path;
  for (const char* const path : {"dir", "dir/sub"}) EXPECT_THAT(Names(path), ElementsAre("no listing")) << path;
  EXPECT_TRUE(Recall("b"));
  clock_.Advance(1s);
  KeepListing("dir", {File("a", "2")});
  store_->Flush();
  EXPECT_THAT(Names("dir"), ElementsAre("a")) << "it came back";
  EXPECT_TRUE(Recall("dir"));
  EXPECT_FALSE(Recall("dir/sub/c"));
}

TEST_F(DiskMetadataStoreTest, AnAnswerThatComesLateChangesNothing) {
  const TimePoint early = clock_.Now();
  const CatalogEntry early_entry = File("a", "1");
  const auto early_listing = testing::MakeCatalogListing({File("a", "1"), File("gone", "1")}, clock_.Now());
  clock_.Advance(1s);
  KeepListing("", {File("a", "2")});
  store_->KeepListing(kScope, "", early_listing);
  store_->KeepEntry(kScope, "a", early_entry);
  store_->KeepAbsence(kScope, "a", early);
  store_->KeepEntry(kScope, "gone", File("gone", "1"));
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre("a", "gone")) << "it came back at that time";
  EXPECT_EQ(Recall("a")->object->id.etag, "2");
  clock_.Advance(1s);
  store_->KeepEntry(kScope, "a", File("a", "3"));
  store_->Flush();
  EXPECT_EQ(Recall("a")->object->id.etag, "3");
}

TEST_F(DiskMetadataStoreTest, WhatAWrongClockDatedInTheFutureGoes) {
  clock_.SetWall(clock_.WallNow() + 24h);
  store_->KeepEntry(kScope, "a", File("a", "1"));
  store_->Flush();
  clock_.SetWall(clock_.WallNow() - 24h);
  KeepListing("", {File("b", "1")});
  store_->Flush();
  EXPECT_THAT(Names(""), ElementsAre("b"));
}

TEST_F(DiskMetadataStoreTest, ALargeListingIsReadWholeAndKeepsNobodyWaiting) {
  max_entries_ = 200'000;
  Reopen();
  std::vector<CatalogEntry> entries;
  for (int i = 0; i < 100'000; ++i) entries.push_back(File("file-" + std::to_string(1'000'000 + i), "1"));
  KeepListing("large", entries);
  store_->KeepEntry(kScope, "small", File("small", "1"));
  store_->Flush();
  using SteadyClock = std::chrono::steady_clock;
  std::atomic<bool> read{false};
  SteadyClock::duration whole{};
  std::thread lister([&] {
    const auto start = SteadyClock::now();
    const auto listing = store_->RecallListing(kScope, "large");
    whole = SteadyClock::now() - start;
    read = true;
    ASSERT_NE(listing, nullptr);
    EXPECT_EQ(listing->size(), entries.size());
  });
  SteadyClock::duration longest{};
  while (!read) {
    const auto start = SteadyClock::now();
    EXPECT_TRUE(Recall("small"));
    longest = std::max(longest, SteadyClock::now() - start);
  }
  lister.join();
  EXPECT_LT(longest, whole / 2) << "others have their turn between its pieces";
}

TEST_F(DiskMetadataStoreTest, OddNamesComeBackByteByByte) {
  const std::string odd = "ab\xff\xfe %_'\"\n";
  store_->KeepEntry(kScope, odd, File(odd, "1"));
  Reopen();
  ASSERT_TRUE(Recall(odd));
  EXPECT_EQ(Recall(odd)->object->id.key, "prefix/" + odd);
}

TEST_F(DiskMetadataStoreTest, TheOldestDirectoriesMakeRoom) {
  max_entries_ = 100;
  Reopen();
  for (int directory = 0; directory < 30; ++directory) {
    std::vector<CatalogEntry> entries;
    for (int i = 0; i < 20; ++i) entries.push_back(File("f" + std::to_string(10 + i), "1"));
    clock_.Advance(1s);
    KeepListing("d" + std::to_string(directory), entries);
    store_->Flush();
  }
  EXPECT_EQ(store_->RecallListing(kScope, "d0"), nullptr);
  EXPECT_NE(store_->RecallListing(kScope, "d29"), nullptr);
}

TEST_F(DiskMetadataStoreTest, ADamagedFileIsAnEmptyMemory) {
  store_->KeepEntry(kScope, "a", File("a", "1"));
  store_.reset();
  dir_.Write("metadata.sqlite",
             "this is no database, it is a sentence that is long enough to be read as a header.....");
  Reopen();
  EXPECT_FALSE(Recall("a"));
  store_->KeepEntry(kScope, "a", File("a", "1"));
  store_->Flush();
  EXPECT_TRUE(Recall("a"));
}

TEST_F(DiskMetadataStoreTest, AFileOfAnotherLayoutIsAnEmptyMemory) {
  store_->KeepEntry(kScope, "a", File("a", "1"));
  store_.reset();
  constexpr std::streamoff kUserVersion = 60;  // https://www.sqlite.org/fileformat.html
  std::fstream(dir_ / "metadata.sqlite", std::ios::in | std::ios::out).seekp(kUserVersion).write("\0\0\0\1", 4);
  Reopen();
  EXPECT_FALSE(Recall("a"));
  store_->KeepEntry(kScope, "a", File("a", "1"));
  Reopen();
  EXPECT_TRUE(Recall("a"));
}

TEST_F(DiskMetadataStoreTest, AFileThatIsRemovedOrDamagedWhileItIsOpenIsStartedAnew) {
  const auto keep = [&](const std::string& name) {
    store_->KeepEntry(kScope, name, File(name, "1"));
    store_->Flush();
  };
  keep("a");
  for (const char* name : {"metadata.sqlite", "metadata.sqlite-wal", "metadata.sqlite-shm"}) {
    std::filesystem::remove(dir_ / name);
  }
  keep("b");
  EXPECT_TRUE(Recall("b"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "metadata.sqlite"));
  Reopen();
  EXPECT_TRUE(Recall("b"));
  // In place, under both connections.
  std::fstream(dir_ / "metadata.sqlite", std::ios::in | std::ios::out) << std::string(20'000, 'x');
  for (int i = 0; i < 3; ++i) keep("c");
  EXPECT_TRUE(Recall("c"));
}

TEST_F(DiskMetadataStoreTest, TheFilesAreTheOwnersAlone) {
  store_->KeepEntry(kScope, "a", File("a", "1"));
  store_->Flush();
  for (const char* name : {"metadata.sqlite", "metadata.sqlite-wal"}) {
    struct stat attributes{};
    ASSERT_EQ(::stat((dir_ / name).c_str(), &attributes), 0) << name;
    EXPECT_EQ(attributes.st_mode & 0777, 0600u) << name;
  }
}

}  // namespace
}  // namespace s3overlay
