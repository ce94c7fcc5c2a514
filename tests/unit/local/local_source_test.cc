// SPDX-License-Identifier: Apache-2.0
#include "local/local_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "support/listings.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::Not;
using testing::TempDir;

class LocalSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<LocalSource> Open(LocalSourceOptions options = {}) {
    if (options.spec.empty()) options.spec = "spec";
    auto source = LocalSource::Open(std::move(options), dir_.path());
    EXPECT_TRUE(source);
    return *std::move(source);
  }

  static Result<std::string> ReadAll(LocalSource& source, const Entry& entry) {
    auto file = source.Open(entry, {});
    if (!file) return file.error();
    std::string bytes((*file)->GetEntry()->attributes.size + 10, '\0');
    auto size = (*file)->Read(0, std::as_writable_bytes(std::span(bytes)), {});
    if (!size) return size.error();
    return bytes.substr(0, *size);
  }

  TempDir dir_;
};

// Every name below the directory as the source tells it is as lstat tells it.
void ExpectParity(LocalSource& source, const fs::path& directory, const std::string& path) {
  const std::vector<ListedEntry> entries = testing::EntriesOf(**source.List(path, {}));
  size_t names = 0;
  for (const auto& item : fs::directory_iterator(directory)) {
    ++names;
    const std::string name = item.path().filename();
    const auto listed = std::ranges::find(entries, name, &ListedEntry::name);
    ASSERT_NE(listed, entries.end()) << name;
    struct stat status{};
    ASSERT_EQ(::lstat(item.path().c_str(), &status), 0);
    const Entry entry = *source.Lookup(path.empty() ? name : path + "/" + name, {});
    for (const Entry& seen : {listed->entry, entry}) {
      EXPECT_EQ(seen.attributes.size, static_cast<uint64_t>(status.st_size));
      EXPECT_EQ(seen.attributes.mode, status.st_mode & 07777U);
      EXPECT_EQ(seen.attributes.mtime.time_since_epoch() / std::chrono::seconds(1), status.st_mtim.tv_sec);
      EXPECT_EQ(seen.attributes.type == FileType::kDirectory, S_ISDIR(status.st_mode) != 0);
      EXPECT_EQ(seen.source, item.path());
    }
    EXPECT_EQ(listed->entry.version, entry.version);
    if (item.is_directory() && !item.is_symlink()) ExpectParity(source, item.path(), entry.path);
  }
  EXPECT_EQ(entries.size(), names);
  EXPECT_TRUE(std::ranges::is_sorted(entries, {}, &ListedEntry::name));
}

TEST_F(LocalSourceTest, ShowsWhatTheDirectoryHas) {
  dir_.Write("a/b/c.txt", "content");
  dir_.Write("a/empty", "");
  dir_.Write("name with\nnewline", "x");
  fs::create_directory(dir_ / "hollow");
  fs::create_symlink("c.txt", dir_ / "a/b/link");
  fs::permissions(dir_ / "a/empty", fs::perms(04750));
  auto source = Open();
  ExpectParity(*source, dir_.path(), "");
  EXPECT_EQ(*ReadAll(*source, *source->Lookup("a/b/c.txt", {})), "content");
  EXPECT_EQ(*source->ReadLink("a/b/link", {}), "c.txt");
  EXPECT_EQ(source->Lookup("", {})->attributes.type, FileType::kDirectory);
  EXPECT_GT(source->GetSpace()->total_bytes, source->GetSpace()->free_bytes);
}

TEST_F(LocalSourceTest, SaysNoAsTheDirectoryDoes) {
  dir_.Write("file", "x");
  auto source = Open();
  EXPECT_EQ(source->Lookup("none", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->Lookup("none/below", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->Lookup("file/below", {}).error().code, ErrorCode::kNotADirectory);
  EXPECT_EQ(source->List("file", {}).error().code, ErrorCode::kNotADirectory);
  EXPECT_EQ(source->List("none", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->Lookup(std::string(300, 'x'), {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(source->ReadLink("file", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LocalSource::Open({}, dir_ / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(LocalSource::Open({}, dir_ / "file").error().code, ErrorCode::kNotADirectory);
}

TEST_F(LocalSourceTest, ReadsAtAnyOffsetAndShortOnlyAtTheEnd) {
  std::string content;
  for (int i = 0; i < 50'000; ++i) content += std::to_string(i);
  dir_.Write("f", content);
  auto source = Open();
  auto file = source->Open(*source->Lookup("f", {}), {});
  ASSERT_TRUE(file);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{4095}, content.size() - 5, content.size(), content.size() * 2}) {
    std::string bytes(9000, '\0');
    const size_t size = *(*file)->Read(offset, std::as_writable_bytes(std::span(bytes)), {});
    EXPECT_EQ(bytes.substr(0, size), offset < content.size() ? content.substr(offset, 9000) : "");
  }
  std::array<std::byte, 1> one{};
  EXPECT_EQ(*(*file)->Read(UINT64_MAX, one, {}), 0U);
}

TEST_F(LocalSourceTest, AnEntryOpensTheFileThatWasLookedUpOrNone) {
  dir_.Write("f", "old");
  auto source = Open();
  const Entry entry = *source->Lookup("f", {});
  auto file = source->Open(entry, {});
  ASSERT_TRUE(file);
  dir_.Write("new", "new bytes");
  fs::rename(dir_ / "new", dir_ / "f");
  EXPECT_EQ(source->Open(entry, {}).error().code, ErrorCode::kVersionGone);
  EXPECT_NE(source->Lookup("f", {})->version, entry.version);
  std::array<std::byte, 3> bytes{};
  EXPECT_EQ(*(*file)->Read(0, bytes, {}), 3U);  // The handle stays with its inode.
  EXPECT_EQ(std::memcmp(bytes.data(), "old", 3), 0);
  fs::remove(dir_ / "f");
  EXPECT_EQ(source->Open(entry, {}).error().code, ErrorCode::kVersionGone);
}

TEST_F(LocalSourceTest, AFileChangedInPlaceIsSeenAtOnce) {
  dir_.Write("f", "one");
  auto source = Open();
  const Entry entry = *source->Lookup("f", {});
  EXPECT_EQ(entry.ttl, Duration::zero());
  EXPECT_FALSE(entry.immutable);
  auto file = source->Open(entry, {});
  ASSERT_TRUE(file);
  dir_.Write("f", "longer");  // Truncates and writes the same inode.
  EXPECT_EQ(source->Lookup("f", {})->version, entry.version);
  EXPECT_EQ(source->Lookup("f", {})->attributes.size, 6U);
  EXPECT_EQ((*file)->GetEntry()->attributes.size, 6U);
  EXPECT_EQ(*ReadAll(*source, entry), "longer");
  struct stat named{}, backing{};
  ASSERT_EQ(::stat((dir_ / "f").c_str(), &named), 0);
  ASSERT_EQ(::fstat((*file)->GetBackingFile()->fd(), &backing), 0);
  EXPECT_EQ(backing.st_ino, named.st_ino);
}

TEST_F(LocalSourceTest, FifosAreShownAndNeverOpened) {
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  auto source = Open();
  const Entry entry = *source->Lookup("fifo", {});
  EXPECT_EQ(entry.attributes.type, FileType::kFifo);
  EXPECT_FALSE(entry.readable);
  EXPECT_EQ(source->Open(entry, {}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ((*source->List("", {}))->size(), 1U);
  // Nobody has it open for reading, so a writer finds no one.
  EXPECT_EQ(::open((dir_ / "fifo").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_F(LocalSourceTest, ExtendedAttributesAreTheFilesOwn) {
  const fs::path file = dir_.Write("f", "x");
  if (::setxattr(file.c_str(), "user.note", "value", 5, 0) != 0) GTEST_SKIP() << "no user attributes here";
  auto source = Open();
  const Entry entry = *source->Lookup("f", {});
  EXPECT_EQ(*source->GetXattr(entry, "user.note"), "value");
  EXPECT_THAT(*source->ListXattr(entry), Contains("user.note"));
  EXPECT_EQ(source->GetXattr(entry, "user.none").error().code, ErrorCode::kNotFound);
  dir_.Write("bare", "x");
  EXPECT_THAT(*source->ListXattr(*source->Lookup("bare", {})), Not(Contains("user.note")));
  fs::rename(dir_ / "bare", file);
  EXPECT_EQ(source->GetXattr(entry, "user.note").error().code, ErrorCode::kVersionGone);
  EXPECT_EQ(source->ListXattr(entry).error().code, ErrorCode::kVersionGone);
}

TEST_F(LocalSourceTest, GoesOnFromTheDescriptorWhateverBecomesOfThePath) {
  dir_.Write("root/f", "covered");
  auto source = LocalSource::Open({.spec = "spec"}, dir_ / "root");
  ASSERT_TRUE(source);
  fs::rename(dir_ / "root", dir_ / "moved");
  dir_.Write("root/f", "another");
  EXPECT_EQ(*ReadAll(**source, *(*source)->Lookup("f", {})), "covered");
}

}  // namespace
}  // namespace s3overlay
