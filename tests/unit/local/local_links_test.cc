// SPDX-License-Identifier: Apache-2.0
//
// Links in a local layer, and every way out of it.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "local/local_source.h"
#include "support/listings.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

class LocalLinks : public ::testing::Test {
 protected:
  LocalLinks() {
    dir_.Write("root/real/f", "inside");
    dir_.Write("outside/f", "outside");
  }

  std::unique_ptr<LocalSource> Open(bool follow_links_out = false, const std::string& mountpoint = "") {
    LocalSourceOptions options{.spec = "spec", .follow_links_out = follow_links_out, .mountpoint = mountpoint};
    auto source = LocalSource::Open(std::move(options), root());
    EXPECT_TRUE(source);
    return *std::move(source);
  }

  void Link(const std::string& target, const std::string& name) { fs::create_symlink(target, root() / name); }

  // What a path is, in words; the error's name where it is nothing.
  static std::string Look(LocalSource& source, const std::string& path) {
    const auto entry = source.Lookup(path, {});
    return std::string(entry ? FileTypeName(entry->attributes.type) : ErrorCodeName(entry.error().code));
  }
  static std::string List(LocalSource& source, const std::string& path) {
    const auto listing = source.List(path, {});
    if (!listing) return std::string(ErrorCodeName(listing.error().code));
    std::string names;
    for (const ListedEntry& listed : testing::EntriesOf(**listing)) names += listed.name + " ";
    return names;
  }

  fs::path root() const { return dir_ / "root"; }

  TempDir dir_;
};

TEST_F(LocalLinks, LinksWithinAreEntered) {
  fs::create_directories(root() / "deep/er");
  Link("real", "plain");
  Link("../../real", "deep/er/up");
  Link("plain", "chain");
  Link(root() / "real", "absolute");
  Link("deep/er/up/../../deep/../real/.", "dotted");
  auto source = Open();
  for (const std::string name : {"plain", "deep/er/up", "chain", "absolute"}) {
    EXPECT_EQ(Look(*source, name), "symlink") << name;
    EXPECT_TRUE(source->Lookup(name, {})->enterable) << name;
    EXPECT_EQ(List(*source, name), "f ") << name;
    EXPECT_EQ(Look(*source, name + "/f"), "file") << name;
    EXPECT_EQ(Look(*source, name + "/none"), "not found") << name;
  }
  // ".." is that of the directory that the link leads to: real/.., not deep/er/...
  EXPECT_EQ(Look(*source, "dotted/f"), "not a directory");
}

TEST_F(LocalLinks, LinksOutAreNotEntered) {
  Link("../outside", "relative");
  Link(dir_ / "outside", "absolute");
  Link("..", "up");
  Link("/etc", "etc");
  Link("/", "slash");
  Link(std::string("../") + "root/../outside", "through");
  Link(root().string() + "-not", "prefix");
  fs::create_directory(root().string() + "-not");
  auto source = Open();
  for (const std::string name : {"relative", "absolute", "up", "etc", "slash", "through", "prefix"}) {
    EXPECT_EQ(Look(*source, name), "symlink") << name;
    EXPECT_FALSE(source->Lookup(name, {})->enterable) << name;
    EXPECT_EQ(List(*source, name), "not a directory") << name;
    EXPECT_EQ(Look(*source, name + "/f"), "not a directory") << name;
  }
}

TEST_F(LocalLinks, LinksOutAreEnteredWhenAskedFor) {
  Link("../outside", "relative");
  Link(dir_ / "outside", "absolute");
  Link("..", "up");
  auto source = Open(true);
  EXPECT_EQ(List(*source, "relative"), "f ");
  EXPECT_EQ(Look(*source, "absolute/f"), "file");
  EXPECT_EQ(List(*source, "up"), "outside root ");
  EXPECT_EQ(Look(*source, "up/root/real/f"), "file");
  const auto file = source->Open(*source->Lookup("absolute/f", {}), {});
  EXPECT_TRUE(file);
}

TEST_F(LocalLinks, LinksNowhereAreNoDirectories) {
  Link("none", "dangling");
  Link("loop", "loop");
  Link("real/f", "file");
  auto source = Open(true);
  for (const std::string name : {"dangling", "loop", "file"}) {
    EXPECT_EQ(Look(*source, name), "symlink") << name;
    EXPECT_FALSE(source->Lookup(name, {})->enterable) << name;
    EXPECT_EQ(List(*source, name), "not a directory") << name;
    EXPECT_EQ(Look(*source, name + "/f"), "not a directory") << name;
  }
}

TEST_F(LocalLinks, PathsThatTheContractRulesOutAreNotFound) {
  auto source = Open(true);
  for (const std::string path : {"..", "../outside", "real/../../outside", "real//f", "./real", "/etc", "real/"}) {
    EXPECT_EQ(Look(*source, path), "not found") << path;
    EXPECT_EQ(List(*source, path), "not found") << path;
  }
  EXPECT_EQ(Look(*source, std::string("real\0/f", 7)), "not found");
}

// The daemon would wait for itself.
TEST_F(LocalLinks, OurOwnMountIsNeverEntered) {
  const std::string mountpoint = dir_ / "mount";
  fs::create_directories(dir_ / "mount/sub");
  Link("../mount", "relative");
  Link(mountpoint + "/sub", "absolute");
  Link("..", "up");
  auto source = Open(true, mountpoint);
  EXPECT_EQ(List(*source, "relative"), "not a directory");
  EXPECT_EQ(Look(*source, "absolute/x"), "not a directory");
  EXPECT_EQ(Look(*source, "up/mount/sub"), "not a directory");
  EXPECT_EQ(List(*source, "up"), "outside root ");

  auto below = Open(false, root() / "real");
  EXPECT_EQ(Look(*below, "real/f"), "not found");
  EXPECT_EQ(List(*below, ""), "absolute relative up ");

  auto all = LocalSource::Open({.spec = "/", .follow_links_out = false, .mountpoint = mountpoint}, "/");
  ASSERT_TRUE(all);
  EXPECT_EQ(Look(**all, fs::path(mountpoint).relative_path()), "not found");
  EXPECT_EQ(List(**all, (fs::path(root()) / "relative").relative_path()), "not a directory");
  EXPECT_EQ(Look(**all, (dir_ / "outside").relative_path()), "directory");
}

TEST_F(LocalLinks, ACoveredDirectoryIsWhollyVisible) {
  Link(root() / "real", "absolute");
  for (const fs::path& mountpoint : {root(), dir_.path()}) {
    auto source = Open(true, mountpoint);
    EXPECT_EQ(Look(*source, "real/f"), "file");
    EXPECT_EQ(List(*source, ""), "absolute real ");
    EXPECT_EQ(List(*source, "absolute"), "f ");
  }
}

}  // namespace
}  // namespace s3overlay
