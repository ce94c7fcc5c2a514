// SPDX-License-Identifier: Apache-2.0
#include "remote/key_catalog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/fake_clock.h"
#include "support/listings.h"
#include "support/memory_object_store.h"

namespace s3overlay {
namespace {

using std::chrono::seconds;
using testing::FakeClock;
using testing::MemoryObjectStore;
using Call = MemoryObjectStore::Call;

class KeyCatalogTest : public ::testing::Test {
 protected:
  KeyCatalog& Catalog() {
    if (!catalog_) {
      KeyCatalogOptions options{.bucket = "b",
                                .prefix = "p",
                                .negative_ttl = negative_ttl_,
                                .lane = 7,
                                .max_cached_bytes = max_cached_bytes_};
      catalog_ = std::make_unique<KeyCatalog>(options, store_, clock_, metrics_);
    }
    return *catalog_;
  }
  void Put(const std::string& path) { store_.Put("b", "p/" + path, "bytes of " + path); }

  // "file", "directory" or the error's name.
  std::string Find(const std::string& path, bool may_block = true) {
    const auto found = Catalog().Find(path, {.may_block = may_block});
    if (!found) return std::string(ErrorCodeName(found.error().code));
    EXPECT_EQ(found->name, std::string(LastComponent(path)));
    return found->is_directory() ? "directory" : "file";
  }
  std::string List(const std::string& path) {
    const auto listing = Catalog().List(path, {});
    if (!listing) return std::string(ErrorCodeName(listing.error().code));
    std::string names;
    for (const CatalogEntry& entry : testing::EntriesOf(**listing)) {
      names += entry.name + (entry.is_directory() ? "/ " : " ");
    }
    return names;
  }
  // Is interrupted after a page.
  void ListAPage() {
    std::atomic<bool> cancelled{true};
    EXPECT_EQ(Catalog().List("", {.cancelled = &cancelled}).error().code, ErrorCode::kCancelled);
  }
  int Requests() { return store_.requests(); }

  FakeClock clock_;
  Metrics metrics_;
  MemoryObjectStore store_;
  uint64_t max_cached_bytes_ = 64 << 20;
  Duration negative_ttl_ = seconds(5);
  std::unique_ptr<KeyCatalog> catalog_;
};

TEST_F(KeyCatalogTest, OnlyTheSteadyClockMakesAnAnswerOld) {
  Put("a");
  EXPECT_EQ(Find("a"), "file");
  const int asked = Requests();
  for (const auto jump : {std::chrono::hours(24 * 365), std::chrono::hours(-24 * 365)}) {
    clock_.SetWall(clock_.WallNow() + jump);
    EXPECT_EQ(Find("a"), "file");
    EXPECT_EQ(Requests(), asked) << "the wall clock was set";
  }
  clock_.Advance(std::chrono::hours(24 * 365));
  store_.Delete("b", "p/a");
  EXPECT_EQ(Find("a"), "not found") << "after a year nothing is taken for fresh";
}

TEST_F(KeyCatalogTest, ListingAnswersTheLookupsThatFollow) {
  for (const char* path : {"a", "dir/x", "dir/y", "other"}) Put(path);
  store_.Put("b", "private", "not below the prefix");
  EXPECT_EQ(List(""), "a dir/ other ");
  EXPECT_EQ(Requests(), 1);
  EXPECT_EQ(Find("a", false), "file");
  EXPECT_EQ(Find("dir", false), "directory");
  EXPECT_EQ(Find("none", false), "not found");
  EXPECT_EQ(Find("none/below", false), "not found");
  EXPECT_EQ(Find("a/below", false), "not a directory");
  EXPECT_EQ(Find("dir/x", false), "would block");
  EXPECT_EQ(Catalog().Find("dir/x", {.may_block = false}).error().lane, 7);
  EXPECT_EQ(Requests(), 1);
}

TEST_F(KeyCatalogTest, FirstMissInADirectoryListsOnePageThatAnswersAllNames) {
  for (const char* path : {"dir/x", "dir/y", "dir/z/deep"}) Put(path);
  EXPECT_EQ(Find("dir/x"), "file");
  EXPECT_EQ(Find("dir/y"), "file");
  EXPECT_EQ(Find("dir/z"), "directory");
  EXPECT_EQ(Find("dir/none"), "not found");
  EXPECT_EQ(List("dir"), "x y z/ ");
  const int requests = Requests();
  EXPECT_LE(requests, 2);  // The page, and beside it a few names from x on, in case it were a large directory.
  clock_.Advance(seconds(61));
  EXPECT_EQ(Find("dir/x"), "file");
  EXPECT_EQ(Requests(), requests + 1) << "it is known to be small";
}

TEST_F(KeyCatalogTest, NamesOfALargeDirectoryCostOneListEach) {
  store_.SetPageLimit(2);
  for (const char* path : {"m1", "m2", "m3", "m4/x"}) Put(path);
  EXPECT_EQ(Find("m3"), "file");  // A page that does not reach it, and beside that a list which begins there.
  EXPECT_EQ(Requests(), 2);
  EXPECT_EQ(Find("a"), "not found");  // The page has passed it.
  EXPECT_EQ(Requests(), 2);
  EXPECT_EQ(Find("m4"), "directory");
  EXPECT_EQ(Find("n"), "not found");
  EXPECT_EQ(Requests(), 4);
  EXPECT_EQ(store_.heads(), 0);
  for (const char* path : {"m1", "m3", "m4", "n", "a"}) Find(path);
  EXPECT_EQ(Requests(), 4);
  clock_.Advance(seconds(90));
  EXPECT_EQ(Find("m3"), "file");  // The directory is large still: no page is tried.
  EXPECT_EQ(Requests(), 5);
}

TEST_F(KeyCatalogTest, ListingOfSeveralPagesAnswersForWhatItLacksAsLongAsForWhatItHas) {
  store_.SetPageLimit(2);
  for (const char* path : {"m1", "m2", "m3", "m4"}) Put(path);
  EXPECT_EQ(List(""), "m1 m2 m3 m4 ");
  clock_.Advance(seconds(50));
  for (const char* path : {"a", "m2-", "z"}) EXPECT_EQ(Find(path, false), "not found");
  EXPECT_EQ(Catalog().AbsenceTtl("z"), seconds(10));
  EXPECT_EQ(Requests(), 2);
  clock_.Advance(seconds(11));
  EXPECT_EQ(Find("z", false), "would block");
}

TEST_F(KeyCatalogTest, NoAbsenceIsRememberedWhereNoneIsToBe) {
  negative_ttl_ = seconds(0);
  store_.SetPageLimit(2);
  for (const char* path : {"m1", "m2", "m3"}) Put(path);
  EXPECT_EQ(List(""), "m1 m2 m3 ");
  Put("z");
  EXPECT_EQ(Find("z"), "file");
}

TEST_F(KeyCatalogTest, AbsenceHoldsForWhatIsLeftOfItsTime) {
  Put("dir/a");
  EXPECT_EQ(Find("none"), "not found");
  clock_.Advance(seconds(2));
  EXPECT_EQ(Catalog().AbsenceTtl("none"), seconds(3));
  EXPECT_EQ(Catalog().AbsenceTtl("none/below/it"), seconds(3));
  EXPECT_EQ(Catalog().AbsenceTtl("dir"), seconds(0));
  clock_.Advance(seconds(4));
  EXPECT_EQ(Catalog().AbsenceTtl("none"), seconds(0));
}

TEST_F(KeyCatalogTest, DirectoryBehindManyKeysBetweenIsNotMissed) {
  store_.SetPageLimit(1);
  for (const char* path : {"a", "a-", "a.", "a/x", "ab"}) Put(path);
  EXPECT_EQ(Find("a"), "directory");
  EXPECT_EQ(Find("a-"), "file");
  EXPECT_EQ(Find("ab"), "file");
  EXPECT_EQ(List(""), "a/ a- a. ab ");
  EXPECT_GE(metrics_.Get(Metric::kKeysHidden), 1U);
}

TEST_F(KeyCatalogTest, AnswersHoldForTheirTimeAndNoLonger) {
  Put("here");
  EXPECT_EQ(Find("here"), "file");
  EXPECT_EQ(Find("later"), "not found");
  Put("later");
  clock_.Advance(seconds(4));
  EXPECT_EQ(Find("later"), "not found");
  clock_.Advance(seconds(2));
  EXPECT_EQ(Find("later"), "file");
  store_.Delete("b", "p/here");
  store_.Delete("b", "p/later");
  clock_.Advance(seconds(59));
  EXPECT_EQ(Find("here"), "file");
  clock_.Advance(seconds(2));
  EXPECT_EQ(Find("here"), "not found");
}

TEST_F(KeyCatalogTest, ForgetMakesTheNextFindAsk) {
  Put("a");
  const auto before = Catalog().Find("a", {});
  Put("a");
  Catalog().Forget("a");
  const auto after = Catalog().Find("a", {});
  ASSERT_TRUE(before && after);
  EXPECT_NE(before->object->id.etag, after->object->id.etag);
}

TEST_F(KeyCatalogTest, OutageIsNoAbsenceAndIsNotRemembered) {
  Put("a");
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kTimedOut, ErrorCode::kThrottled}) {
    store_.Fail(code);
    EXPECT_EQ(Find("a"), ErrorCodeName(code));
    EXPECT_EQ(Find(""), ErrorCodeName(code));
    EXPECT_EQ(List(""), ErrorCodeName(code));
  }
  EXPECT_FALSE(*Catalog().LastKnown("a"));
  store_.Heal();
  EXPECT_EQ(Find("a"), "file");

  store_.Fail(ErrorCode::kUnavailable);
  clock_.Advance(std::chrono::hours(5));
  EXPECT_EQ(Find("a"), "unavailable");
  ASSERT_TRUE(*Catalog().LastKnown("a"));
  EXPECT_FALSE((*Catalog().LastKnown("a"))->is_directory());
  EXPECT_FALSE(*Catalog().LastKnown("b"));
  ASSERT_TRUE(Catalog().LastKnownListing(""));
  EXPECT_EQ(Catalog().LastKnownListing("")->size(), 1U);
}

// Whatever it is asked for, it tells of one object.
class MixedUpMemory final : public MetadataStore {
 public:
  explicit MixedUpMemory(const std::string& key) {
    object_.id.bucket = "b";
    object_.id.key = key;
  }
  void KeepEntry(std::string_view, std::string_view, const CatalogEntry&) override {}
  void KeepAbsence(std::string_view, std::string_view, TimePoint) override {}
  void KeepListing(std::string_view, std::string_view, std::shared_ptr<const CatalogListing>) override {}
  Result<std::optional<CatalogEntry>> RecallEntry(std::string_view, std::string_view path) override {
    return std::optional(CatalogEntry{.name = std::string(LastComponent(path)), .object = object_, .learned_at = {}});
  }
  std::shared_ptr<const CatalogListing> RecallListing(std::string_view, std::string_view) override {
    return testing::MakeCatalogListing({{.name = "a", .object = object_, .learned_at = {}}}, {});
  }

 private:
  ObjectMetadata object_;
};

TEST_F(KeyCatalogTest, ADirectoryThatHasGoneTookItsNamesAlong) {
  Put("b");
  Put("dir/a");
  EXPECT_EQ(List(""), "b dir/ ");
  EXPECT_EQ(List("dir"), "a ");
  ASSERT_TRUE(*Catalog().LastKnown("dir/a"));
  store_.Delete("b", "p/dir/a");
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(Find("dir"), "not found");
  EXPECT_FALSE(*Catalog().LastKnown("dir/a"));
  EXPECT_FALSE(Catalog().LastKnownListing("dir"));
  Put("dir/a");
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(Find("dir/a"), "file");
  EXPECT_TRUE(*Catalog().LastKnown("dir/a"));
}

TEST_F(KeyCatalogTest, WhatIsKeptOfAnotherObjectIsNotKnownOfThisOne) {
  MixedUpMemory memory("p/dir/a");
  const KeyCatalog catalog({.bucket = "b", .prefix = "p"}, store_, clock_, metrics_, &memory);
  EXPECT_TRUE(*catalog.LastKnown("dir/a"));
  EXPECT_FALSE(*catalog.LastKnown("other/a"));
  EXPECT_TRUE(catalog.LastKnownListing("dir"));
  EXPECT_FALSE(catalog.LastKnownListing("other"));
  const KeyCatalog elsewhere({.bucket = "another", .prefix = "p"}, store_, clock_, metrics_, &memory);
  EXPECT_FALSE(*elsewhere.LastKnown("dir/a"));
}

TEST_F(KeyCatalogTest, HalfAnAnswerIsNoAbsence) {
  store_.SetPageLimit(1);
  for (const char* path : {"m", "q-", "q-1", "z"}) Put(path);
  EXPECT_EQ(Find("a"), "not found");  // Now the page is known, and names are asked one by one.
  store_.FailCall(Call::kHead, ErrorCode::kUnavailable);
  EXPECT_EQ(Find("q"), "unavailable");  // No list of one key reaches "q/".
  store_.Heal();
  store_.FailCall(Call::kList, ErrorCode::kUnavailable);
  EXPECT_EQ(Find("z"), "unavailable");
  EXPECT_EQ(Find("q"), "unavailable");
  store_.Heal();
  EXPECT_EQ(Find("q"), "not found");
}

TEST_F(KeyCatalogTest, ReadingWithoutPermissionToList) {
  Put("a");
  store_.FailCall(Call::kList, ErrorCode::kDenied);
  EXPECT_EQ(Find("a"), "file");
  EXPECT_EQ(Find("none"), "denied");
  EXPECT_LE(store_.lists(), 4);  // Page, names from it on and below it; then below it alone.
}

TEST_F(KeyCatalogTest, RootOfAnEmptyPrefixIsAnEmptyDirectory) {
  EXPECT_EQ(Find(""), "directory");
  EXPECT_EQ(List(""), "");
  EXPECT_EQ(List("none"), "not found");
  Put("a");
  clock_.Advance(seconds(61));
  EXPECT_EQ(Find("a"), "file");
  EXPECT_EQ(List("a"), "not a directory");
}

TEST_F(KeyCatalogTest, ListingsFollowAllPagesAndDoNotRunInCircles) {
  store_.SetPageLimit(3);
  std::string expected;
  for (int i = 100; i < 200; ++i) {
    Put("f" + std::to_string(i));
    expected += "f" + std::to_string(i) + " ";
  }
  EXPECT_EQ(List(""), expected);
  const int requests = Requests();
  EXPECT_EQ(Find("f150", false), "file");
  clock_.Advance(seconds(6));
  EXPECT_EQ(Find("f150", false), "file");
  EXPECT_EQ(Requests(), requests);

  store_.RepeatTokens();
  clock_.Advance(seconds(61));
  EXPECT_EQ(List(""), "bad response");
  EXPECT_EQ(Catalog().LastKnownListing("")->size(), 100U);
}

// A directory of a million keys can take longer to list than a call may last.
TEST_F(KeyCatalogTest, ListingThatWasInterruptedIsTakenUpWhereItWas) {
  store_.SetPageLimit(2);
  for (const char* path : {"a", "b", "c", "d", "e"}) Put(path);
  std::atomic<bool> cancelled{true};
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Catalog().List("", {.cancelled = &cancelled}).error().code, ErrorCode::kCancelled);
  }
  EXPECT_EQ(Requests(), 2) << "a page a call";
  store_.Fail(ErrorCode::kUnavailable);
  EXPECT_EQ(List(""), "unavailable");
  store_.Heal();
  const int requests = Requests();
  EXPECT_EQ(List(""), "a b c d e ");
  EXPECT_EQ(Requests(), requests + 1);
}

TEST_F(KeyCatalogTest, APageThatTakesTooLongIsAnOutageForAllWhoWait) {
  Put("a");
  store_.CloseGate(Call::kList);
  const SystemClock clock;
  KeyCatalog catalog({.bucket = "b", .prefix = "p", .page_timeout = std::chrono::milliseconds(200)}, store_, clock,
                     metrics_);
  const auto list = [&] { EXPECT_EQ(catalog.List("", {}).error().code, ErrorCode::kUnavailable); };
  std::thread other(list);
  list();
  other.join();
  store_.OpenGate(Call::kList);
  EXPECT_TRUE(catalog.List("", {}));
}

TEST_F(KeyCatalogTest, APageOfABusyStoreHasAllTheTimeOfItsCaller) {
  Put("a");
  const SystemClock clock;
  KeyCatalog catalog({.bucket = "b", .prefix = "p", .page_timeout = std::chrono::seconds(60)}, store_, clock, metrics_);
  store_.FailNext(1, ErrorCode::kThrottled);
  EXPECT_TRUE(catalog.List("", {}));
}

// The pages of a long listing are as old as its first, however late the last one comes.
TEST_F(KeyCatalogTest, WhatWasAskedWhileAListingWentOnIsNewer) {
  store_.SetPageLimit(2);
  for (const char* path : {"b", "c", "d"}) Put(path);
  ListAPage();
  Put("a");
  clock_.Advance(seconds(6));  // What the page said is too old now for an absence.
  EXPECT_EQ(Find("a"), "file");
  EXPECT_EQ(List(""), "b c d ");
  EXPECT_EQ(Find("a", false), "file");
  EXPECT_EQ(Catalog().AbsenceTtl("a"), seconds(0));
}

TEST_F(KeyCatalogTest, ListingThatIsLeftForTheLifeOfAnAnswerBeginsAnew) {
  store_.SetPageLimit(2);
  for (const char* path : {"b", "c", "d"}) Put(path);
  ListAPage();
  Put("a");
  clock_.Advance(seconds(61));
  EXPECT_EQ(List(""), "a b c d ");
}

TEST_F(KeyCatalogTest, ListingThatComesLateDoesNotReplaceWhatWasAskedAfterIt) {
  Put("b");
  store_.CloseGate(Call::kList);
  std::thread slow([&] { EXPECT_EQ(List(""), "b "); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kList));
  clock_.Advance(seconds(1));
  std::thread quick([&] { EXPECT_EQ(Find("b"), "file"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kList, 2));
  store_.OpenGate(Call::kList);
  slow.join();
  quick.join();
  clock_.Advance(seconds(59) + std::chrono::milliseconds(500));
  EXPECT_EQ(Find("b", false), "file") << "asked a second after the listing was";
}

TEST_F(KeyCatalogTest, PageDoesNotReplaceAListing) {
  store_.SetPageLimit(2);
  for (const char* path : {"b", "c", "d"}) Put(path);
  EXPECT_EQ(List(""), "b c d ");
  EXPECT_EQ(Find(""), "directory");
  const int requests = Requests();
  EXPECT_EQ(List(""), "b c d ");
  EXPECT_EQ(Requests(), requests);
}

TEST_F(KeyCatalogTest, FailedPageIsNoneOfANamesConcern) {
  Put("a");
  store_.FailPages(ErrorCode::kTimedOut);
  EXPECT_EQ(Find("a"), "file");
}

// However often somebody goes on with it.
TEST_F(KeyCatalogTest, ListingThatBeganLongAgoBeginsAnew) {
  store_.SetPageLimit(1);
  for (char name = 'b'; name <= 'y'; ++name) Put(std::string(1, name));
  ListAPage();
  Put("a");
  for (int i = 0; i < 13; ++i) {
    clock_.Advance(seconds(50));
    ListAPage();
  }
  EXPECT_EQ(List("").substr(0, 4), "a b ");
}

TEST_F(KeyCatalogTest, ManyWhoAskAtOnceAskOnce) {
  Put("dir/a");
  store_.CloseGate(Call::kList);
  Catalog();  // Made before the threads are.
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_EQ(Find("dir/a"), "file"); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kList));
  store_.OpenGate(Call::kList);
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(Requests(), 2);
}

TEST_F(KeyCatalogTest, LeaderThatIsCancelledDoesNotTakeTheOthersWithIt) {
  Put("dir/a");
  store_.CloseGate(Call::kList);
  Catalog();  // Made before the threads are.
  std::atomic<bool> cancelled{false};
  std::thread leader(
      [&] { EXPECT_EQ(Catalog().Find("dir/a", {.cancelled = &cancelled}).error().code, ErrorCode::kCancelled); });
  EXPECT_TRUE(store_.WaitUntilBlocked(Call::kList));
  std::thread follower([&] { EXPECT_EQ(Find("dir/a"), "file"); });
  cancelled = true;
  leader.join();
  store_.OpenGate(Call::kList);
  follower.join();
}

TEST_F(KeyCatalogTest, MemoryIsBounded) {
  max_cached_bytes_ = 20'000;
  for (int i = 0; i < 300; ++i) Put("d" + std::to_string(i) + "/x");
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Find("d" + std::to_string(i) + "/x"), "file");
  EXPECT_EQ(Find("d299/x", false), "file");
  EXPECT_EQ(Find("d0/x", false), "would block");
}

}  // namespace
}  // namespace s3overlay
