// SPDX-License-Identifier: Apache-2.0
//
// What every FileSource promises, held against the one in memory, a local directory, the objects of a store, and
// overlays of the latter two.
#include "s3overlay/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "local/local_source.h"
#include "overlay/overlay_source.h"
#include "remote/block_fetcher.h"
#include "remote/key_catalog.h"
#include "remote/object_source.h"
#include "support/fake_clock.h"
#include "support/memory_block_cache.h"
#include "support/memory_file_source.h"
#include "support/memory_object_store.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using ::testing::AnyOf;
using testing::FakeClock;
using testing::MemoryBlockCache;
using testing::MemoryFileSource;
using testing::MemoryObjectStore;
using testing::TempDir;

constexpr uint64_t kBlock = 4096;

// What a source shows, and the hand that changes it.
class World {
 public:
  virtual ~World() = default;
  // Once, and before anything else. The source goes before its world.
  virtual std::unique_ptr<FileSource> MakeSource() = 0;
  // Makes the directories above it too; an existing file is replaced.
  virtual void Write(const std::string& path, const std::string& bytes) = 0;
  virtual void Remove(const std::string& path) = 0;
  // Until nothing that was answered before holds any more.
  virtual void LetTimePass() {}
};

class MemoryWorld final : public World {
 public:
  std::unique_ptr<FileSource> MakeSource() override {
    auto source = std::make_unique<MemoryFileSource>();
    source_ = source.get();
    return source;
  }
  void Write(const std::string& path, const std::string& bytes) override {
    source_->AddFile(path, bytes, "v" + std::to_string(++versions_));
  }
  void Remove(const std::string& path) override { source_->Remove(path); }

 private:
  MemoryFileSource* source_ = nullptr;
  int versions_ = 0;
};

class LocalWorld final : public World {
 public:
  std::unique_ptr<FileSource> MakeSource() override {
    std::filesystem::create_directory(root());
    auto source = LocalSource::Open({.spec = root()}, root());
    if (!source) throw std::runtime_error(source.error().message);
    return *std::move(source);
  }
  void Write(const std::string& path, const std::string& bytes) override {
    const std::filesystem::path made = dir_.Write("new", bytes);
    std::filesystem::create_directories((root() / path).parent_path());
    std::filesystem::rename(made, root() / path);
  }
  void Remove(const std::string& path) override { std::filesystem::remove(root() / path); }

 private:
  std::filesystem::path root() const { return dir_ / "root"; }

  const TempDir dir_;
};

class ObjectWorld final : public World {
 public:
  std::unique_ptr<FileSource> MakeSource() override {
    return std::make_unique<ObjectSource>(ObjectSourceOptions{.spec = "s3://b/p"}, catalog_, store_, fetcher_, &cache_,
                                          clock_);
  }
  void Write(const std::string& path, const std::string& bytes) override { store_.Put("b", "p/" + path, bytes); }
  void Remove(const std::string& path) override { store_.Delete("b", "p/" + path); }
  void LetTimePass() override { clock_.Advance(std::chrono::hours(1)); }

 private:
  FakeClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  MemoryBlockCache cache_{{.block_size = kBlock}};
  KeyCatalog catalog_{{.bucket = "b", .prefix = "p"}, store_, clock_, metrics_};
  BlockFetcher fetcher_{{.memory_limit = 4 << 20}, &cache_, clock_, metrics_};
};

// Below a layer that has nothing, so that every answer goes the overlay's whole way.
class OverlayWorld final : public World {
 public:
  explicit OverlayWorld(std::unique_ptr<World> inner) : inner_(std::move(inner)) {}

  std::unique_ptr<FileSource> MakeSource() override {
    std::vector<OverlayLayer> layers;
    layers.push_back({.spec = "empty", .at = "", .source = std::make_unique<MemoryFileSource>()});
    layers.push_back({.spec = "inner", .at = "", .source = inner_->MakeSource()});
    return std::make_unique<OverlaySource>(OverlayOptions{}, std::move(layers), metrics_);
  }
  void Write(const std::string& path, const std::string& bytes) override { inner_->Write(path, bytes); }
  void Remove(const std::string& path) override { inner_->Remove(path); }
  void LetTimePass() override { inner_->LetTimePass(); }

 private:
  Metrics metrics_;
  const std::unique_ptr<World> inner_;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<World>()> make;
};

using Names = std::vector<std::string>;

std::string MakeBytes(size_t size, char first) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(first + static_cast<char>(i % 61));
  return bytes;
}

class FileSourceContract : public ::testing::TestWithParam<Kind> {
 protected:
  void Write(const std::string& path, const std::string& bytes) { world_->Write(path, bytes); }

  // Name by name, as the kernel asks.
  Result<Entry> Walk(const std::string& path, const CallContext& context = {}) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const auto directory = source_->Lookup(path.substr(0, slash), context);
      if (!directory) return directory.error();
    }
    return source_->Lookup(path, context);
  }
  Entry Find(const std::string& path) {
    auto entry = Walk(path);
    if (!entry) throw std::runtime_error(path + ": " + entry.error().message);
    return *std::move(entry);
  }
  ErrorCode FindError(const std::string& path) {
    const auto entry = Walk(path);
    EXPECT_FALSE(entry) << path << " is there";
    return entry ? ErrorCode::kSystem : entry.error().code;
  }

  ListingPtr List(const std::string& path) {
    Find(path);
    auto listing = source_->List(path, {});
    if (!listing) throw std::runtime_error(path + ": " + listing.error().message);
    return *std::move(listing);
  }
  Names ListNames(const std::string& path) {
    const ListingPtr listing = List(path);
    Names names;
    for (size_t i = 0; i < listing->size(); ++i) names.emplace_back(listing->NameAt(i));
    return names;
  }
  ErrorCode ListError(const std::string& path) {
    (void)Walk(path);
    const auto listing = source_->List(path, {});
    EXPECT_FALSE(listing) << path << " can be listed";
    return listing ? ErrorCode::kSystem : listing.error().code;
  }

  std::shared_ptr<OpenFile> Open(const Entry& entry) {
    auto file = source_->Open(entry, {});
    if (!file) throw std::runtime_error(entry.path + ": " + file.error().message);
    return *std::move(file);
  }
  ErrorCode OpenError(const Entry& entry) {
    const auto file = source_->Open(entry, {});
    EXPECT_FALSE(file) << entry.path << " can be opened";
    return file ? ErrorCode::kSystem : file.error().code;
  }

  // The error's name where the read fails. What is borrowed has to be the same.
  static std::string Read(OpenFile& file, uint64_t offset, size_t size) {
    std::string bytes(size, '\0');
    const auto read = file.Read(offset, std::as_writable_bytes(std::span(bytes)), {});
    if (!read) return std::string(ErrorCodeName(read.error().code));
    bytes.resize(*read);
    const auto borrowed = file.Borrow(offset, size, {});
    EXPECT_TRUE(borrowed) << borrowed.error().message;
    std::string copy(borrowed->size(), '\0');
    borrowed->CopyTo(std::as_writable_bytes(std::span(copy)));
    EXPECT_TRUE(copy == bytes) << "from " << offset;
    return bytes;
  }
  std::string Content(const std::string& path) {
    const Entry entry = Find(path);
    return Read(*Open(entry), 0, entry.attributes.size + 1);
  }

  const std::unique_ptr<World> world_ = GetParam().make();
  const std::unique_ptr<FileSource> source_ = world_->MakeSource();
};

TEST_P(FileSourceContract, TheRootIsADirectoryWhateverIsInIt) {
  EXPECT_EQ(Find("").attributes.type, FileType::kDirectory);
  EXPECT_EQ(ListNames(""), Names{});
  Write("a", "x");
  world_->LetTimePass();
  EXPECT_EQ(Find("").path, "");
  EXPECT_EQ(ListNames(""), Names{"a"});
  EXPECT_FALSE(source_->Describe().empty());
}

TEST_P(FileSourceContract, LookupTellsWhatThereIs) {
  Write("dir/sub/a", "12345");
  const Entry file = Find("dir/sub/a");
  EXPECT_EQ(file.path, "dir/sub/a");
  EXPECT_EQ(file.attributes.type, FileType::kRegular);
  EXPECT_EQ(file.attributes.size, 5U);
  EXPECT_GT(file.attributes.mtime, WallTime{});
  EXPECT_FALSE(file.version.empty());
  EXPECT_FALSE(file.source.empty());
  EXPECT_TRUE(file.readable);
  for (const char* path : {"dir", "dir/sub"}) {
    const Entry directory = Find(path);
    EXPECT_EQ(directory.path, path);
    EXPECT_EQ(directory.attributes.type, FileType::kDirectory);
    EXPECT_EQ(directory.version, "");
  }
}

TEST_P(FileSourceContract, WhatIsNotThereIsNotFound) {
  Write("dir/a", "x");
  for (const char* path : {"b", "dir/b", "dir/a2", "di", "none/of/these"}) {
    EXPECT_EQ(FindError(path), ErrorCode::kNotFound) << path;
    EXPECT_EQ(ListError(path), ErrorCode::kNotFound) << path;
    EXPECT_GE(source_->AbsenceTtl(path), Duration::zero());
  }
}

TEST_P(FileSourceContract, AFileIsNoDirectory) {
  const Names files = {"a", "dir/a"};
  for (const std::string& path : files) Write(path, "x");
  for (const std::string& path : files) {
    EXPECT_EQ(ListError(path), ErrorCode::kNotADirectory) << path;
    // Either is proof. An overlay whose first layer has nothing there does not look why.
    EXPECT_THAT(FindError(path + "/b"), AnyOf(ErrorCode::kNotADirectory, ErrorCode::kNotFound)) << path;
  }
}

TEST_P(FileSourceContract, ADirectoryListsItsNamesInByteOrder) {
  // A store sorts "a/" behind "a-b" and "a.b".
  for (const char* path : {"d/a/x", "d/a-b", "d/a.b", "d/ab", "d/B", "d/c/d/e", "d/\xc3\xa4"}) Write(path, path);
  EXPECT_EQ(ListNames(""), Names{"d"});
  EXPECT_EQ(ListNames("d"), (Names{"B", "a", "a-b", "a.b", "ab", "c", "\xc3\xa4"}));
  EXPECT_EQ(ListNames("d/c"), Names{"d"});
  EXPECT_FALSE(List("d")->terms().degraded);
}

TEST_P(FileSourceContract, AListingTellsOfItsNamesWhatLookupTells) {
  for (const char* path : {"d/a/x", "d/a-b", "d/c"}) Write(path, path);
  const ListingPtr listing = List("d");
  ASSERT_EQ(listing->size(), 3U);
  for (size_t i = 0; i < listing->size(); ++i) {
    const Entry listed = listing->EntryAt(i);
    const Entry found = Find("d/" + std::string(listing->NameAt(i)));
    EXPECT_EQ(listed.path, found.path);
    EXPECT_EQ(listed.source, found.source);
    EXPECT_EQ(listed.version, found.version);
    EXPECT_EQ(listed.etag, found.etag);
    EXPECT_EQ(listed.immutable, found.immutable);
    EXPECT_EQ(listed.layer, found.layer);
    EXPECT_EQ(listed.state, found.state);
    EXPECT_EQ(listing->TypeAt(i), found.attributes.type);
    EXPECT_EQ(listed.attributes.type, found.attributes.type);
    EXPECT_EQ(listed.attributes.size, found.attributes.size);
    EXPECT_EQ(listed.attributes.mtime, found.attributes.mtime);
    EXPECT_EQ(listed.attributes.mode, found.attributes.mode);
  }
}

TEST_P(FileSourceContract, WhatWasListedCanBeOpened) {
  Write("d/a", "bytes of a");
  const Entry listed = List("d")->EntryAt(0);
  EXPECT_EQ(Read(*Open(listed), 0, 100), "bytes of a");
}

TEST_P(FileSourceContract, AListingIsASnapshot) {
  for (const char* path : {"d/a", "d/b"}) Write(path, "x");
  const ListingPtr before = List("d");
  world_->Remove("d/a");
  Write("d/c", "x");
  world_->LetTimePass();
  EXPECT_EQ(ListNames("d"), (Names{"b", "c"}));
  ASSERT_EQ(before->size(), 2U);
  EXPECT_EQ(before->NameAt(0), "a");
  EXPECT_EQ(before->EntryAt(0).path, "d/a");
}

TEST_P(FileSourceContract, NamesAreBytes) {
  Names names = {
      "a b+c", "100%25",      "d\xc3\xbcnn", "~-._(p)!*'", "a=b&c=d?e#f;g:h@",   "<x>\"y\"&amp;", "new\nline", "...",
      "..x",   "back\\slash", " ",           "-",          std::string(255, 'k')};
  for (const std::string& name : names) Write("d/" + name, "of " + name);
  std::ranges::sort(names);
  EXPECT_EQ(ListNames("d"), names);
  for (const std::string& name : names) EXPECT_EQ(Content("d/" + name), "of " + name);
}

TEST_P(FileSourceContract, ReadsAreShortOnlyAtTheEnd) {
  const std::string bytes = MakeBytes(3 * kBlock + 5, '0');
  Write("a", bytes);
  const auto file = Open(Find("a"));
  for (const ByteRange range : {ByteRange{0, 10}, {kBlock - 1, 2 * kBlock}, {0, bytes.size()}, {3 * kBlock + 4, 1}}) {
    EXPECT_TRUE(Read(*file, range.offset, range.size) == bytes.substr(range.offset, range.size)) << range.offset;
  }
  EXPECT_EQ(Read(*file, 3 * kBlock, 100), bytes.substr(3 * kBlock));
  EXPECT_EQ(Read(*file, bytes.size(), 100), "");
  EXPECT_EQ(Read(*file, uint64_t{1} << 40, 100), "");
  EXPECT_EQ(Read(*file, 10, 0), "");
  EXPECT_EQ(Read(*file, bytes.size(), 0), "");
}

TEST_P(FileSourceContract, AnEmptyFileIsAFile) {
  Write("d/empty", "");
  const Entry entry = Find("d/empty");
  EXPECT_EQ(entry.attributes.type, FileType::kRegular);
  EXPECT_EQ(entry.attributes.size, 0U);
  EXPECT_EQ(Read(*Open(entry), 0, 100), "");
  EXPECT_EQ(ListNames("d"), Names{"empty"});
}

TEST_P(FileSourceContract, ADirectoryIsNotOpened) {
  Write("d/a", "x");
  EXPECT_EQ(OpenError(Find("d")), ErrorCode::kIsADirectory);
  EXPECT_EQ(OpenError(Find("")), ErrorCode::kIsADirectory);
}

TEST_P(FileSourceContract, AnOpenFileTellsWhatWasOpened) {
  Write("d/a", "12345");
  const Entry entry = Find("d/a");
  const auto opened = Open(entry)->GetEntry();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->path, entry.path);
  EXPECT_EQ(opened->source, entry.source);
  EXPECT_EQ(opened->version, entry.version);
  EXPECT_EQ(opened->layer, entry.layer);
  EXPECT_EQ(opened->state, entry.state);
  EXPECT_EQ(opened->attributes.size, 5U);
  EXPECT_EQ(opened->attributes.type, FileType::kRegular);
}

TEST_P(FileSourceContract, AReplacedFileIsAnotherVersion) {
  Write("d/a", "one");
  const Entry first = Find("d/a");
  Write("d/a", "two");
  world_->LetTimePass();
  const Entry second = Find("d/a");
  EXPECT_NE(second.version, first.version);
  EXPECT_EQ(OpenError(first), ErrorCode::kVersionGone);
  EXPECT_EQ(Read(*Open(second), 0, 100), "two");
}

TEST_P(FileSourceContract, AHandleStaysWithItsVersion) {
  const std::string old_bytes = MakeBytes(64 * kBlock, '0');
  Write("a", old_bytes);
  const auto file = Open(Find("a"));
  EXPECT_EQ(Read(*file, 0, 10), old_bytes.substr(0, 10));
  const auto untouched = Open(Find("a"));
  Write("a", MakeBytes(64 * kBlock, 'A'));
  world_->LetTimePass();
  for (OpenFile* handle : {file.get(), untouched.get()}) {
    for (uint64_t offset = 0; offset < old_bytes.size(); offset += kBlock) {
      const std::string read = Read(*handle, offset, kBlock);
      EXPECT_TRUE(read == old_bytes.substr(offset, kBlock) || read == "version gone") << read.substr(0, 20);
    }
    EXPECT_EQ(handle->GetEntry()->attributes.size, old_bytes.size());
  }
}

TEST_P(FileSourceContract, ARemovedFileIsGone) {
  for (const char* path : {"d/a", "d/b"}) Write(path, "x");
  const Entry entry = Find("d/a");
  world_->Remove("d/a");
  world_->LetTimePass();
  EXPECT_EQ(FindError("d/a"), ErrorCode::kNotFound);
  EXPECT_EQ(OpenError(entry), ErrorCode::kVersionGone);
  EXPECT_EQ(ListNames("d"), Names{"b"});
}

TEST_P(FileSourceContract, WhatIsLastKnownWasAnswered) {
  EXPECT_FALSE(*source_->LastKnown("d/a"));
  Write("d/a", "12345");
  const Entry entry = Find("d/a");
  const auto known = source_->LastKnown("d/a").value();
  EXPECT_TRUE(!known || known->version == entry.version);
  EXPECT_LE(source_->GetCacheShare(entry).bytes, entry.attributes.size);
  const auto age = source_->AnswerAge("d/a");
  EXPECT_TRUE(!age || *age >= Duration::zero());
}

TEST_P(FileSourceContract, AFileHasNeitherATargetNorAttributesOfNoName) {
  Write("a", "x");
  const Entry entry = Find("a");
  EXPECT_EQ(source_->ReadLink("a", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(source_->GetXattr(entry, "user.none").error().code, ErrorCode::kNotFound);
  const auto names = source_->ListXattr(entry);
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_EQ(std::ranges::count(*names, "user.none"), 0);
}

// A FUSE thread asks so first.
TEST_P(FileSourceContract, WhoMayNotWaitIsAnsweredTheSameOrToldToWait) {
  Write("d/a", "12345");
  const CallContext at_once{.may_block = false};
  const auto may_wait = [](const auto& result) { return !result && result.error().code == ErrorCode::kWouldBlock; };
  const auto cold = Walk("d/a", at_once);
  EXPECT_TRUE(may_wait(cold) || (cold && cold->attributes.size == 5)) << "of a name that is there";
  const auto listing = source_->List("d", at_once);
  EXPECT_TRUE(may_wait(listing) || (listing && (*listing)->size() == 1));
  const Entry entry = Find("d/a");
  const auto file = source_->Open(entry, at_once);
  ASSERT_TRUE(may_wait(file) || file);
  if (!file) return;
  std::string bytes(10, '\0');
  const auto read = (*file)->Read(0, std::as_writable_bytes(std::span(bytes)), at_once);
  EXPECT_TRUE(may_wait(read) || (read && bytes.substr(0, *read) == "12345"));
}

TEST_P(FileSourceContract, ManyThreadsReadTheirOwnFiles) {
  const auto path_of = [](int i) { return "d" + std::to_string(i % 3) + "/f" + std::to_string(i); };
  for (int i = 0; i < 12; ++i) Write(path_of(i), MakeBytes(2 * kBlock + 17, static_cast<char>('0' + i)));
  const auto work = [&](int thread) {
    for (int round = 0; round < 24; ++round) {
      const int i = (thread * 5 + round) % 12;
      EXPECT_TRUE(Content(path_of(i)) == MakeBytes(2 * kBlock + 17, static_cast<char>('0' + i))) << path_of(i);
      EXPECT_EQ(ListNames("d" + std::to_string(i % 3)).size(), 4U);
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();
}

template <typename W>
std::unique_ptr<World> Make() {
  return std::make_unique<W>();
}
template <typename W>
std::unique_ptr<World> MakeOverlay() {
  return std::make_unique<OverlayWorld>(Make<W>());
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileSourceContract,
                         ::testing::Values(Kind{"memory", Make<MemoryWorld>}, Kind{"local", Make<LocalWorld>},
                                           Kind{"objects", Make<ObjectWorld>},
                                           Kind{"overlay_of_local", MakeOverlay<LocalWorld>},
                                           Kind{"overlay_of_objects", MakeOverlay<ObjectWorld>}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace s3overlay
