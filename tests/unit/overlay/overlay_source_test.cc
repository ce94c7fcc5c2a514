// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "unit/overlay/overlay_fixture.h"

namespace s3overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MemoryFileSource;
using testing::TestOverlay;
using Call = MemoryFileSource::Call;

TEST(Overlay, FirstLayerThatHasTheFileServesIt) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("d/both", "first");
  overlay[1].AddFile("d/both", "second");
  overlay[1].AddFile("d/later", "second only");
  EXPECT_EQ(overlay.Read("d/both"), "first");
  EXPECT_EQ(overlay[1].count(Call::kLookup), 0);  // The first yes ends the question.
  EXPECT_EQ(overlay.Read("d/later"), "second only");
  EXPECT_EQ(overlay.Lookup("d/both")->state, FileState::kFresh);
  const Entry later = *overlay.Lookup("d/later");
  EXPECT_EQ(later.state, FileState::kFallback);
  EXPECT_EQ(later.layer, 1);
  EXPECT_EQ(later.reason, "not in layer0");
  EXPECT_EQ(overlay.Read("d/none"), "not found");
  EXPECT_EQ(overlay.metrics().Get(Metric::kOpensFresh), 1U);
  EXPECT_EQ(overlay.metrics().Get(Metric::kOpensFallback), 1U);
}

TEST(Overlay, WhatIsReadIsCountedBySourceAndState) {
  std::vector<OverlayLayer> layers;
  const auto add = [&](const std::string& spec, bool local) {
    auto source = std::make_unique<MemoryFileSource>(spec);
    MemoryFileSource& made = *source;
    layers.push_back({.spec = spec, .at = "", .source = std::move(source), .local = local});
    return std::ref(made);
  };
  MemoryFileSource& store = add("store", false);
  MemoryFileSource& local = add("local", true);
  Metrics metrics;
  OverlaySource overlay({}, std::move(layers), metrics);
  const auto read = [&](const std::string& path) {
    std::array<std::byte, 100> buffer{};
    const auto file = overlay.Open(*overlay.Lookup(path, {}), {});
    return *(*file)->Read(0, buffer, {}) + (*file)->Borrow(0, buffer.size(), {})->size();
  };
  store.AddFile("object", "123");
  local.AddFile("file", "12345");
  EXPECT_EQ(read("object") + read("file"), 2 * (3U + 5U));
  store.SetCachedWhole("object");
  store.Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(read("object") + read("file"), 2 * (3U + 5U));
  EXPECT_EQ(metrics.Get(Metric::kReadS3Fresh), 6U);
  EXPECT_EQ(metrics.Get(Metric::kReadLocalFallback), 10U);
  EXPECT_EQ(metrics.Get(Metric::kReadS3Stale), 6U);
  EXPECT_EQ(metrics.Get(Metric::kReadLocalDegraded), 10U);
  for (const Metric none :
       {Metric::kReadS3Fallback, Metric::kReadS3Degraded, Metric::kReadLocalFresh, Metric::kReadLocalStale}) {
    EXPECT_EQ(metrics.Get(none), 0U) << Describe(none).name;
  }
}

TEST(Overlay, DegradedAnswersAreMarkedAndShort) {
  TestOverlay overlay({"", ""});
  overlay[0].Fail(ErrorCode::kUnavailable);
  overlay[1].AddFile("f", "local");
  const Entry entry = *overlay.Lookup("f");
  EXPECT_EQ(entry.state, FileState::kDegraded);
  EXPECT_LE(entry.ttl, std::chrono::seconds(1));
  EXPECT_THAT(entry.reason, HasSubstr("layer0 cannot answer (unavailable"));
  EXPECT_EQ(overlay.Read("f"), "local");
  EXPECT_EQ(overlay.metrics().Get(Metric::kOpensDegraded), 1U);
  overlay[0].Heal();
  EXPECT_EQ(overlay.Lookup("f")->state, FileState::kFallback);
}

TEST(Overlay, WhollyCachedObjectAnswersAnOutageWhateverIsLocal) {
  for (const OnOutage on_outage : {OnOutage::kFallback, OnOutage::kAny, OnOutage::kError}) {
    TestOverlay overlay({"", ""}, on_outage);
    overlay[0].AddFile("f", "object");
    overlay[1].AddFile("f", "object");
    overlay[0].Remember("f");
    overlay[0].SetCachedWhole("f");
    overlay[0].Fail(ErrorCode::kUnavailable);
    const Entry entry = *overlay.Lookup("f");
    EXPECT_EQ(entry.state, FileState::kStale);
    EXPECT_EQ(entry.layer, 0);
    EXPECT_LE(entry.ttl, std::chrono::seconds(1));
    EXPECT_EQ(overlay.Read("f"), "object");
    EXPECT_EQ(overlay.metrics().Get(Metric::kOpensStale), 1U);
  }
}

TEST(Overlay, PartlyCachedObjectServesItsBlocksAndNoOthers) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("f", "0123456789");
  overlay[1].AddFile("f", "local file");
  overlay[0].Remember("f");
  overlay[0].SetCacheShare("f", {.bytes = 4, .complete = false});
  overlay[0].Fail(ErrorCode::kUnavailable);
  const Entry entry = *overlay.Lookup("f");
  EXPECT_EQ(entry.state, FileState::kStale);
  EXPECT_EQ(entry.layer, 0);
  auto file = overlay->Open(entry, {});
  ASSERT_TRUE(file);
  std::array<std::byte, 4> buffer{};
  EXPECT_EQ(*(*file)->Read(0, buffer, {}), 4U);
  EXPECT_EQ((*file)->Read(4, buffer, {}).error().code, ErrorCode::kUnavailable);
}

TEST(Overlay, TheFirstOutageIsTheErrorWhereNothingStandsIn) {
  TestOverlay overlay({"", "", ""});
  overlay[0].Fail(ErrorCode::kDenied);
  overlay[1].Fail(ErrorCode::kTimedOut);
  EXPECT_EQ(overlay.Read("f"), "denied");
  overlay[0].Heal();
  EXPECT_EQ(overlay.Read("f"), "timed out");
  overlay[1].Heal();
  EXPECT_EQ(overlay.Read("f"), "not found");
}

TEST(Overlay, WhatWasLastKnownIsShownAndNotOpened) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("known", "in S3");
  overlay[0].AddFile("differs", "in S3");
  overlay[1].AddFile("differs", "local, and longer");
  overlay[0].Remember("known");
  overlay[0].Remember("differs");
  overlay[0].Fail(ErrorCode::kTimedOut);
  for (const char* const name : {"known", "differs"}) {
    const auto entry = overlay.Lookup(name);
    ASSERT_TRUE(entry) << name;
    EXPECT_EQ(entry->attributes.size, 5U);
    EXPECT_EQ(entry->state, FileState::kStale);
    EXPECT_FALSE(entry->readable);
    EXPECT_LE(entry->ttl, std::chrono::seconds(1));
    EXPECT_THAT(entry->reason, HasSubstr("layer0 cannot answer (timed out"));
  }
  EXPECT_EQ(overlay.Read("known"), "timed out");
  EXPECT_EQ(overlay.Read("differs"), "timed out");
  EXPECT_EQ(overlay.Lookup("never-seen").error().code, ErrorCode::kTimedOut);
  overlay[0].Heal();
  EXPECT_EQ(overlay.Read("known"), "in S3");
}

TEST(Overlay, AStandInIsHeldToTheLayerThatWouldHaveWon) {
  TestOverlay overlay({"", "", ""});
  overlay[1].AddFile("f", "old");
  overlay[1].Remember("f");
  overlay[2].AddFile("f", "longer");
  overlay[0].Fail(ErrorCode::kUnavailable);
  overlay[1].Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(overlay.Read("f"), "unavailable");
  overlay[0].AddFile("f", "as new");
  overlay[0].Remember("f");
  EXPECT_EQ(overlay.Read("f"), "longer");
}

TEST(Overlay, AFileHidesWhatLaterLayersHaveBelowItsName) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("a", "file");
  overlay[1].AddFile("a/b", "hidden");
  EXPECT_EQ(overlay.Read("a/b"), "not a directory");
  EXPECT_EQ(overlay.Names("a"), "not a directory");
  EXPECT_EQ(overlay[1].count(Call::kLookup) + overlay[1].count(Call::kList), 0);
  EXPECT_EQ(overlay.Names(""), "a@0");
  EXPECT_EQ(overlay.Lookup("a")->attributes.type, FileType::kRegular);
}

TEST(Overlay, ADirectoryHidesALaterFile) {
  TestOverlay overlay({"", "", ""});
  overlay[0].AddFile("a/x", "1");
  overlay[1].AddFile("a", "file");
  overlay[2].AddFile("a/y", "hidden by the file between");
  EXPECT_EQ(overlay.Lookup("a")->attributes.type, FileType::kDirectory);
  EXPECT_EQ(overlay.Names("a"), "x@0");
  EXPECT_EQ(overlay.Read("a/y"), "not found");
}

TEST(Overlay, DirectoryIsTheUnionOfAllLayers) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("d/b", "1");
  overlay[1].AddFile("d/a", "2");
  overlay[1].AddFile("d/b", "2");
  overlay[1].AddDirectory("only");
  EXPECT_EQ(overlay.Names("d"), "a@1 b@0");
  EXPECT_EQ(overlay.Names("only"), "");
  EXPECT_EQ(overlay.Names("none"), "not found");
  const ListingPtr listing = *overlay->List("d", {});
  EXPECT_EQ(listing->EntryAt(0).state, FileState::kFallback);
  EXPECT_EQ(listing->EntryAt(1).state, FileState::kFresh);
  for (const ListedEntry& listed : testing::EntriesOf(*listing)) {
    EXPECT_EQ(listed.entry.version, overlay.Lookup(listed.entry.path)->version);
  }
}

TEST(Overlay, AnAbsenceHoldsAsLongAsThatOfTheLayerThatMayGainTheNameFirst) {
  TestOverlay overlay({"", "", "sub"});
  overlay[0].SetAbsenceTtl(std::chrono::seconds(5));
  overlay[1].SetAbsenceTtl(std::chrono::seconds(3));
  EXPECT_EQ(overlay->AbsenceTtl("none"), std::chrono::seconds(3));
  EXPECT_EQ(overlay->AbsenceTtl("sub/none"), Duration::zero());  // As a local directory says.
}

TEST(Overlay, WhatALaterLayerHasHoldsAsLongAsTheEarlierOnesLackIt) {
  TestOverlay overlay({"", ""});
  overlay[0].AddDirectory("d");
  overlay[0].SetTtl(std::chrono::seconds(9));
  overlay[0].SetAbsenceTtl(std::chrono::seconds(5));
  overlay[1].AddFile("d/f", "1");
  EXPECT_EQ(overlay.Lookup("d/f")->ttl, std::chrono::seconds(5));
  EXPECT_EQ((*overlay->List("d", {}))->EntryAt(0).ttl, std::chrono::seconds(9));
  overlay[0].AddFile("d/f", "0");
  EXPECT_EQ(overlay.Lookup("d/f")->ttl, std::chrono::seconds(9));
}

TEST(Overlay, WhatALaterLayerListsHoldsAsLongAsTheEarlierOnesLackTheDirectory) {
  TestOverlay overlay({"", ""});
  overlay[0].SetAbsenceTtl(std::chrono::seconds(5));
  overlay[1].AddFile("d/f", "1");
  EXPECT_EQ((*overlay->List("d", {}))->EntryAt(0).ttl, std::chrono::seconds(5));
}

TEST(Overlay, AListingHoldsAsLongAsTheShortestLivedOfItsParts) {
  TestOverlay overlay({"", ""});
  for (size_t layer : {0U, 1U}) overlay[layer].AddDirectory("d");
  overlay[1].SetTtl(std::chrono::seconds(7));
  EXPECT_EQ((*overlay->List("d", {}))->ttl(), std::chrono::seconds(7));
}

TEST(Overlay, AListingIsMarkedWhereALayerCouldNotList) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("d/s3", "1");
  overlay[1].AddFile("d/local", "2");
  overlay[0].Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(overlay.Names("d"), "local@1!");
  EXPECT_EQ((*overlay->List("d", {}))->EntryAt(0).ttl, Duration::zero());
  overlay[0].Heal();
  EXPECT_EQ(overlay.Names("d"), "local@1 s3@0");
  overlay[0].Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(overlay.Names("d"), "local@1 s3@0!");  // Its last known listing.
  overlay[0].Fail(ErrorCode::kThrottled);
  EXPECT_EQ(overlay.Names("d"), "throttled");
  overlay[0].Fail(ErrorCode::kUnavailable);
  overlay[0].ForgetAll();
  overlay[1].Remove("d");
  EXPECT_EQ(overlay.Names("d"), "unavailable");  // Never an empty directory, never "not found".
}

TEST(Overlay, AListingFailsOnAnOutageIfSoConfigured) {
  TestOverlay overlay({"", ""}, OnOutage::kError);
  overlay[0].Fail(ErrorCode::kUnavailable);
  overlay[1].AddFile("d/local", "2");
  EXPECT_EQ(overlay.Names("d"), "unavailable");
}

TEST(Overlay, KnownDirectoriesCanBeWalkedDuringAnOutage) {
  TestOverlay overlay({""});
  overlay[0].AddFile("d/f", "1");
  EXPECT_EQ(overlay.Names(""), "d@0");
  EXPECT_EQ(overlay.Names("d"), "f@0");
  overlay[0].Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(overlay.Lookup("d")->state, FileState::kStale);
  EXPECT_EQ(overlay.Names("d"), "f@0!");
  EXPECT_EQ(overlay.Read("d/f"), "unavailable");
}

TEST(Overlay, LayersLieAtTheirPlaces) {
  TestOverlay overlay({"data/s3", ""});
  overlay[0].AddFile("x/f", "placed");
  overlay[1].AddFile("data/local", "local");
  EXPECT_EQ(overlay.Read("data/s3/x/f"), "placed");
  EXPECT_EQ(overlay.Lookup("data/s3/x/f")->path, "data/s3/x/f");
  EXPECT_EQ(overlay.Names(""), "data@0");
  EXPECT_EQ(overlay.Names("data"), "local@1 s3@0");
  EXPECT_EQ(overlay.Names("data/s3/x"), "f@0");
  EXPECT_EQ(overlay.Read("data/local"), "local");
  EXPECT_EQ(overlay.Lookup("data/local")->state, FileState::kFresh);  // No earlier layer was concerned.
  EXPECT_EQ(overlay.Lookup("data")->attributes.type, FileType::kDirectory);
  EXPECT_EQ(overlay.Read("dat"), "not found");
  EXPECT_EQ(overlay->GetXattr(*overlay.Lookup("data"), "user.x").error().code, ErrorCode::kNotFound);
}

TEST(Overlay, PlacesExistWhateverTheLayersSay) {
  for (const OnOutage on_outage : {OnOutage::kFallback, OnOutage::kError}) {
    TestOverlay overlay({"data/s3"}, on_outage);
    for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kThrottled}) {
      overlay[0].Fail(code);
      for (const char* path : {"", "data", "data/s3"}) {
        ASSERT_TRUE(overlay.Lookup(path)) << path;
        EXPECT_EQ(overlay.Lookup(path)->attributes.type, FileType::kDirectory);
      }
    }
    EXPECT_EQ(overlay.Names("data"), "s3@0");
    EXPECT_EQ(overlay.Names("data/s3"), "throttled");
    EXPECT_EQ(overlay.Read("data/s3/f"), "throttled");
  }
}

TEST(Overlay, WaitsNeverWhereItMayNot) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("f", "first");
  overlay[1].SetAlwaysBlocks(true);
  const CallContext at_once{.may_block = false};
  EXPECT_TRUE(overlay->Lookup("f", at_once));
  const Error error = overlay->Lookup("g", at_once).error();
  EXPECT_EQ(error.code, ErrorCode::kWouldBlock);
  EXPECT_EQ(error.lane, 7);
  EXPECT_EQ(overlay->List("", at_once).error().code, ErrorCode::kWouldBlock);
  EXPECT_EQ(overlay.Read("g"), "not found");
}

TEST(Overlay, ExplainsWhatEachLayerSaid) {
  TestOverlay overlay({"", "", "", ""});
  overlay[0].Fail(ErrorCode::kTimedOut);
  overlay[2].AddFile("f", "here");
  const Explanation explanation = *overlay->Explain("f", {});
  std::vector<std::string> answers;
  for (const LayerVerdict& verdict : explanation.layers) answers.push_back(verdict.answer);
  EXPECT_THAT(answers, ElementsAre("unavailable", "no", "yes", "not asked"));
  EXPECT_THAT(explanation.layers[0].error, HasSubstr("timed out"));
  EXPECT_EQ(explanation.entry.layer, 2);
  EXPECT_THAT(overlay->Explain("g", {}).error().message, HasSubstr("layer0: unavailable; layer1: no; layer2: no"));
}

TEST(Overlay, AnOpenFileStaysWithItsVersion) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("f", "first", "v1");
  overlay[1].AddFile("f", "local");
  const Entry looked_up = *overlay.Lookup("f");
  auto file = overlay->Open(looked_up, {});
  ASSERT_TRUE(file);
  overlay[0].AddFile("f", "other", "v2");
  std::array<std::byte, 5> buffer{};
  EXPECT_EQ(*(*file)->Read(0, buffer, {}), 5U);
  EXPECT_EQ(std::memcmp(buffer.data(), "first", 5), 0);
  EXPECT_EQ((*file)->GetEntry()->version, "v1");
  EXPECT_EQ(overlay->Open(looked_up, {}).error().code, ErrorCode::kVersionGone);
  EXPECT_EQ(overlay.Read("f"), "other");
}

TEST(Overlay, PassesOnWhatTheLayerOfTheEntryKnows) {
  TestOverlay overlay({"", "at"});
  overlay[1].AddFile("f", "1");
  overlay[1].SetXattr("f", "user.note", "x");
  overlay[1].SetCachedWhole("f");
  overlay[1].AddSymlink("l", "f");
  const Entry entry = *overlay.Lookup("at/f");
  EXPECT_EQ(*overlay->GetXattr(entry, "user.note"), "x");
  EXPECT_THAT(*overlay->ListXattr(entry), ElementsAre("user.note"));
  EXPECT_TRUE(overlay->GetCacheShare(entry).complete);
  EXPECT_EQ(*overlay->ReadLink("at/l", {}), "f");
  EXPECT_EQ(overlay->ReadLink("at/f", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ((*overlay->LastKnown("at/f"))->path, "at/f");
}

TEST(Overlay, ManyThreadsMayAskWhileALayerComesAndGoes) {
  TestOverlay overlay({"", ""});
  overlay[0].AddFile("f", "1");
  overlay[1].AddFile("f", "2");
  const auto ask = [&overlay] {
    for (int i = 0; i < 200; ++i) {
      const std::string bytes = overlay.Read("f");
      EXPECT_TRUE(bytes == "1" || bytes == "2" || bytes == "unavailable") << bytes;
      EXPECT_NE(overlay.Names(""), "");
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(ask);
  for (int i = 0; i < 100; ++i) {
    overlay[0].Fail(ErrorCode::kUnavailable);
    overlay[0].Heal();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(overlay.Read("f"), "1");
}

TEST(Overlay, AnOverlayIsALayerToo) {
  auto inner_first = std::make_unique<MemoryFileSource>("inner0");
  auto inner_second = std::make_unique<MemoryFileSource>("inner1");
  inner_second->AddFile("f", "deep");
  Metrics metrics;
  std::vector<OverlayLayer> inner;
  inner.push_back({.spec = "inner0", .at = "", .source = std::move(inner_first)});
  inner.push_back({.spec = "inner1", .at = "", .source = std::move(inner_second)});
  std::vector<OverlayLayer> outer;
  outer.push_back({.spec = "inner",
                   .at = "sub",
                   .source = std::make_unique<OverlaySource>(OverlayOptions{}, std::move(inner), metrics)});
  OverlaySource overlay({}, std::move(outer), metrics);
  const auto entry = overlay.Lookup("sub/f", {});
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->layer, 0);
  EXPECT_TRUE(overlay.Open(*entry, {}));
}

}  // namespace
}  // namespace s3overlay
