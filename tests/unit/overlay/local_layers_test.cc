// SPDX-License-Identifier: Apache-2.0
//
// The overlay over real directories: links that are merged, and files that change in place.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "local/local_source.h"
#include "overlay/overlay_source.h"
#include "support/listings.h"
#include "support/memory_file_source.h"
#include "support/temp_dir.h"

namespace s3overlay {
namespace {

using testing::MemoryFileSource;
using testing::TempDir;

class LocalLayers : public ::testing::Test {
 protected:
  // A store in memory and the temporary directory "root", in either order.
  void Compose(bool local_first, bool follow_links_out) {
    std::filesystem::create_directories(root());
    auto memory = std::make_unique<MemoryFileSource>("s3://bucket");
    store_ = memory.get();
    auto local = LocalSource::Open({.spec = "local", .follow_links_out = follow_links_out}, root());
    ASSERT_TRUE(local);
    std::vector<OverlayLayer> layers;
    layers.push_back({.spec = "s3://bucket", .at = "", .source = std::move(memory)});
    layers.push_back({.spec = "local", .at = "", .source = *std::move(local), .local = true});
    if (local_first) std::swap(layers[0], layers[1]);
    overlay_ = std::make_unique<OverlaySource>(OverlayOptions{}, std::move(layers), metrics_);
  }

  std::string Names(const std::string& path) {
    auto listing = overlay_->List(path, {});
    if (!listing) return std::string(ErrorCodeName(listing.error().code));
    std::string names;
    for (const ListedEntry& listed : testing::EntriesOf(**listing)) names += listed.name + " ";
    return names;
  }

  std::filesystem::path root() const { return dir_ / "root"; }

  TempDir dir_;
  Metrics metrics_;
  MemoryFileSource* store_ = nullptr;  // Owned by the overlay.
  std::unique_ptr<OverlaySource> overlay_;
};

TEST_F(LocalLayers, LinkToADirectoryIsMergedWithAnothersDirectory) {
  dir_.Write("root/real/b", "local");
  std::filesystem::create_directory_symlink("real", root() / "data");
  for (const bool local_first : {false, true}) {
    Compose(local_first, false);
    store_->AddFile("data/a", "object");
    EXPECT_EQ(overlay_->Lookup("data", {})->attributes.type, FileType::kDirectory);
    EXPECT_EQ(Names("data"), "a b ");
    EXPECT_EQ(overlay_->Lookup("data/b", {})->attributes.size, 5U);
    EXPECT_EQ((*overlay_->List("", {}))->EntryAt(0).attributes.type, FileType::kDirectory);
  }
}

TEST_F(LocalLayers, LinkOutOfTheLayerIsMergedOnlyWhenAskedFor) {
  dir_.Write("outside/b", "local");
  std::filesystem::create_directories(root());
  std::filesystem::create_directory_symlink("../outside", root() / "data");
  Compose(false, false);
  store_->AddFile("data/a", "object");
  EXPECT_EQ(Names("data"), "a ");
  EXPECT_EQ(overlay_->Lookup("data/b", {}).error().code, ErrorCode::kNotFound);
  Compose(false, true);
  store_->AddFile("data/a", "object");
  EXPECT_EQ(Names("data"), "a b ");
  EXPECT_TRUE(overlay_->Lookup("data/b", {}));
}

TEST_F(LocalLayers, LinkIsALinkWhereNoOtherLayerHasADirectory) {
  dir_.Write("root/real/b", "local");
  std::filesystem::create_directory_symlink("real", root() / "data");
  for (const bool local_first : {false, true}) {
    Compose(local_first, false);
    EXPECT_EQ(overlay_->Lookup("data", {})->attributes.type, FileType::kSymlink);
    EXPECT_EQ(*overlay_->ReadLink("data", {}), "real");
  }
}

TEST_F(LocalLayers, LocalFileIsLiveAndSpaceIsTheDirectorys) {
  dir_.Write("root/f", "one");
  Compose(false, false);
  auto file = overlay_->Open(*overlay_->Lookup("f", {}), {});
  ASSERT_TRUE(file);
  dir_.Write("root/f", "longer");
  EXPECT_EQ((*file)->GetEntry()->attributes.size, 6U);
  EXPECT_EQ(overlay_->Lookup("f", {})->attributes.size, 6U);
  EXPECT_TRUE((*file)->GetBackingFile());
  EXPECT_GT(overlay_->GetSpace()->total_bytes, 0U);
}

}  // namespace
}  // namespace s3overlay
