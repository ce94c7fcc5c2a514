// SPDX-License-Identifier: Apache-2.0
//
// What every ObjectStore promises, held against the one in memory and S3Store on a real server.
#include "s3overlay/object_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/memory_object_store.h"
#include "support/s3/test_bucket.h"

namespace s3overlay {
namespace {

using testing::MemoryObjectStore;
using testing::TestBucket;
using testing::TestServer;

// A store with a bucket, and the hand that fills it.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual ObjectStore& store() = 0;
  virtual std::string bucket() const = 0;
  virtual CallContext context() const = 0;
  virtual void Put(const std::string& key, const std::string& bytes) = 0;
  virtual void Delete(const std::string& key) = 0;
};

class MemorySubject final : public Subject {
 public:
  ObjectStore& store() override { return store_; }
  std::string bucket() const override { return "bucket"; }
  CallContext context() const override { return {}; }
  void Put(const std::string& key, const std::string& bytes) override { store_.Put(bucket(), key, bytes); }
  void Delete(const std::string& key) override { store_.Delete(bucket(), key); }

 private:
  MemoryObjectStore store_;
};

class RealSubject final : public Subject {
 public:
  explicit RealSubject(const TestServer& server) : bucket_(server) {}
  ObjectStore& store() override { return bucket_.store(); }
  std::string bucket() const override { return bucket_.name(); }
  CallContext context() const override { return bucket_.context(); }
  void Put(const std::string& key, const std::string& bytes) override { bucket_.Put(key, bytes); }
  void Delete(const std::string& key) override { bucket_.Delete(key); }

 private:
  TestBucket bucket_;
};

// Null where there is no server.
std::unique_ptr<Subject> MakeReal() {
  const std::optional<TestServer> server = TestServer::FromEnvironment();
  return server ? std::make_unique<RealSubject>(*server) : nullptr;
}

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};

class ObjectStoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    if (!subject_) GTEST_SKIP() << TestServer::kHowTo;
  }

  ObjectStore& store() { return subject_->store(); }
  void Put(const std::string& key, const std::string& bytes) { subject_->Put(key, bytes); }

  Result<ObjectMetadata> Head(const std::string& key) {
    return store().Head(subject_->bucket(), key, subject_->context());
  }
  ErrorCode HeadError(const std::string& key) {
    const auto head = Head(key);
    EXPECT_FALSE(head) << key << " is there";
    return head ? ErrorCode::kSystem : head.error().code;
  }
  // The object as it is now.
  ObjectId IdOf(const std::string& key) {
    const auto head = Head(key);
    if (!head) throw std::runtime_error(head.error().message);
    return head->id;
  }
  ObjectId PutAndPin(const std::string& key, const std::string& bytes) {
    Put(key, bytes);
    return IdOf(key);
  }

  // The bytes, each of which has to come once and in order; the error's name where the GET fails.
  std::string Get(const ObjectId& object, ByteRange range) {
    std::string received;
    const auto sink = [&](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
      EXPECT_EQ(offset, range.offset + received.size()) << object.key;
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    const auto got = store().GetRange(object, range, sink, subject_->context());
    return got ? received : std::string(ErrorCodeName(got.error().code));
  }
  // Of a GET that has to fail before a byte came.
  ErrorCode GetError(const ObjectId& object, ByteRange range) {
    const auto sink = [](uint64_t, std::span<const std::byte>) -> Result<void> {
      ADD_FAILURE() << "bytes of a GET that fails";
      return {};
    };
    const auto got = store().GetRange(object, range, sink, subject_->context());
    EXPECT_FALSE(got) << object.key << " from " << range.offset;
    return got ? ErrorCode::kSystem : got.error().code;
  }

  ListRequest AskFor(std::string prefix, std::string delimiter = "", int max_keys = 1000) const {
    return {.bucket = subject_->bucket(),
            .prefix = std::move(prefix),
            .delimiter = std::move(delimiter),
            .continuation_token = {},
            .start_after = {},
            .max_keys = max_keys};
  }
  ListPage List(const ListRequest& request) {
    auto page = store().List(request, subject_->context());
    if (!page) throw std::runtime_error(page.error().message);
    return *std::move(page);
  }
  // The names of each page in byte order, common prefixes among them.
  std::vector<std::vector<std::string>> ListPages(ListRequest request) {
    std::vector<std::vector<std::string>> pages;
    while (pages.size() < 100) {
      const ListPage page = List(request);
      std::vector<std::string> names = page.common_prefixes;
      for (const ObjectMetadata& object : page.objects) names.push_back(object.id.key);
      std::ranges::sort(names);
      pages.push_back(std::move(names));
      if (!page.truncated) return pages;
      EXPECT_FALSE(page.next_token.empty());
      request.continuation_token = page.next_token;
    }
    ADD_FAILURE() << "the list has no end";
    return pages;
  }
  std::vector<std::string> ListNames(const ListRequest& request) {
    std::vector<std::string> names;
    for (const auto& page : ListPages(request)) names.insert(names.end(), page.begin(), page.end());
    return names;
  }

  std::unique_ptr<Subject> subject_;
};

using Names = std::vector<std::string>;

TEST_P(ObjectStoreContract, HeadTellsWhatThereIs) {
  Put("dir/object", "0123456789");
  const auto head = Head("dir/object");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->id.store, store().url());
  EXPECT_EQ(head->id.bucket, subject_->bucket());
  EXPECT_EQ(head->id.key, "dir/object");
  EXPECT_EQ(head->id.size, 10U);
  EXPECT_TRUE(HasStrongEtag(head->id));
  EXPECT_EQ(head->id.etag.find('"'), std::string::npos) << head->id.etag;
  EXPECT_EQ(head->last_modified, head->id.last_modified);
  EXPECT_GT(head->last_modified, WallTime{});
  EXPECT_FALSE(head->archived);
  EXPECT_FALSE(store().IsAway());
}

TEST_P(ObjectStoreContract, AnAbsenceIsProven) {
  Put("dir/object", "x");
  EXPECT_EQ(HeadError("dir/other"), ErrorCode::kNotFound);
  EXPECT_EQ(HeadError("dir"), ErrorCode::kNotFound) << "keys below a name make no object of it";
  EXPECT_EQ(HeadError("dir/"), ErrorCode::kNotFound);
  EXPECT_EQ(HeadError("dir/objec"), ErrorCode::kNotFound);
  EXPECT_EQ(ListNames(AskFor("nothing/")), Names{});
  subject_->Delete("dir/object");
  EXPECT_EQ(HeadError("dir/object"), ErrorCode::kNotFound);
  EXPECT_EQ(ListNames(AskFor("")), Names{});
}

TEST_P(ObjectStoreContract, AListTellsOfTheVersionsThatHeadTellsOf) {
  for (const char* key : {"a", "b/c"}) Put(key, std::string("of ") + key);
  const ListPage page = List(AskFor(""));
  ASSERT_EQ(page.objects.size(), 2U);
  for (const ObjectMetadata& listed : page.objects) {
    const ObjectId head = IdOf(listed.id.key);
    EXPECT_EQ(listed.id.store, head.store);
    EXPECT_EQ(listed.id.bucket, head.bucket);
    EXPECT_EQ(listed.id.etag, head.etag);
    EXPECT_EQ(listed.id.size, head.size);
    // A header carries whole seconds.
    EXPECT_EQ(std::chrono::floor<std::chrono::seconds>(listed.id.last_modified),
              std::chrono::floor<std::chrono::seconds>(head.last_modified));
    EXPECT_EQ(listed.last_modified, listed.id.last_modified);
    EXPECT_FALSE(listed.archived);
    EXPECT_EQ(Get(listed.id, {0, listed.id.size}), "of " + listed.id.key);
  }
}

TEST_P(ObjectStoreContract, KeysAreBytes) {
  Names keys = {"a b+c",
                "100%25",
                "d\xc3\xbcnn/\xe6\x97\xa5",
                "//two//slashes//x",
                "~-._(p)!*'",
                "a=b&c=d?e#f;g:h@",
                "<x>\"y\"&amp;",
                "new\nline",
                "./../up",
                "tab\there",
                "back\\slash",
                std::string(1024, 'k')};
  for (const std::string& key : keys) Put(key, "of " + key);
  std::ranges::sort(keys);
  EXPECT_EQ(ListNames(AskFor("")), keys);
  EXPECT_EQ(ListNames(AskFor("", "", 1)), keys) << "page by page";
  for (const std::string& key : keys) {
    EXPECT_EQ(Get(IdOf(key), {0, key.size() + 3}), "of " + key);
    EXPECT_EQ(ListNames(AskFor(key)), Names{key});
  }
}

TEST_P(ObjectStoreContract, ObjectsAreListedInByteOrder) {
  const Names keys = {"A", "a", "a-b", "a.b", "a/b", "ab", "\xc3\xa4"};
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) Put(*key, "x");
  const ListPage page = List(AskFor(""));
  Names listed;
  for (const ObjectMetadata& object : page.objects) listed.push_back(object.id.key);
  EXPECT_EQ(listed, keys);
  EXPECT_FALSE(page.truncated);
}

TEST_P(ObjectStoreContract, APrefixIsNoDirectory) {
  for (const char* key : {"o", "p", "p-1", "p/x", "pq", "q"}) Put(key, "x");
  EXPECT_EQ(ListNames(AskFor("p")), (Names{"p", "p-1", "p/x", "pq"}));
  EXPECT_EQ(ListNames(AskFor("p", "/")), (Names{"p", "p-1", "p/", "pq"}));
  EXPECT_EQ(ListNames(AskFor("p/")), Names{"p/x"});
}

TEST_P(ObjectStoreContract, ADelimiterFoldsWhatIsBelow) {
  for (const char* key : {"p/a", "p/b/1", "p/b/2", "p/b/c/3", "p/c", "p/d+ /1", "q"}) Put(key, "x");
  const ListPage page = List(AskFor("p/", "/"));
  ASSERT_EQ(page.objects.size(), 2U);
  EXPECT_EQ(page.objects[0].id.key, "p/a");
  EXPECT_EQ(page.objects[1].id.key, "p/c");
  EXPECT_EQ(page.common_prefixes, (Names{"p/b/", "p/d+ /"}));
  EXPECT_EQ(ListNames(AskFor("", "/")), (Names{"p/", "q"}));
}

TEST_P(ObjectStoreContract, AKeyThatEndsInTheDelimiterIsFoldedToo) {
  for (const char* key : {"dir/", "dir/a"}) Put(key, "");
  EXPECT_EQ(ListNames(AskFor("", "/")), Names{"dir/"});
  const ListPage page = List(AskFor("dir/", "/"));
  EXPECT_EQ(page.objects.size(), 2U) << "below the prefix that it is, it is an object";
  EXPECT_EQ(page.common_prefixes, Names{});
}

TEST_P(ObjectStoreContract, PagesFollowEachOtherAndMissNothing) {
  for (const char* key : {"p/a", "p/b/1", "p/b/2", "p/b/3", "p/c", "p/d/1", "p/d/2", "p/e"}) Put(key, "x");
  const std::vector<Names> folded = {{"p/a", "p/b/"}, {"p/c", "p/d/"}, {"p/e"}};
  EXPECT_EQ(ListPages(AskFor("p/", "/", 2)), folded);
  const std::vector<Names> flat = {{"p/a", "p/b/1", "p/b/2"}, {"p/b/3", "p/c", "p/d/1"}, {"p/d/2", "p/e"}};
  EXPECT_EQ(ListPages(AskFor("p/", "", 3)), flat);
  EXPECT_EQ(ListPages(AskFor("p/", "/", 5)).size(), 1U) << "a page that holds all is the last";
}

TEST_P(ObjectStoreContract, StartAfterLeavesOutTheKeyItself) {
  for (const char* key : {"a", "b", "b/1", "c"}) Put(key, "x");
  ListRequest request = AskFor("", "", 1);
  request.start_after = "b";
  EXPECT_EQ(ListNames(request), (Names{"b/1", "c"}));
  request.start_after = "bb";
  EXPECT_EQ(ListNames(request), Names{"c"});
}

TEST_P(ObjectStoreContract, AnyRangeComesOnceAndInOrder) {
  std::string content;
  for (int i = 0; i < 100'000; ++i) content += fmt::format("{:09}\n", i);
  const ObjectId object = PutAndPin("object", content);
  for (const ByteRange range : {ByteRange{0, 1}, {999'999, 1}, {0, 1'000'000}, {123'456, 78'901}}) {
    EXPECT_TRUE(Get(object, range) == content.substr(range.offset, range.size)) << range.offset;
  }
}

TEST_P(ObjectStoreContract, ARangeThatIsNoPartOfTheObjectIsRefused) {
  const ObjectId object = PutAndPin("object", "0123456789");
  for (const ByteRange range : {ByteRange{10, 1}, {0, 11}, {9, 2}, {0, 0}, {5, UINT64_MAX}, {UINT64_MAX, 2}}) {
    EXPECT_EQ(GetError(object, range), ErrorCode::kInvalidArgument) << range.offset << " " << range.size;
  }
}

TEST_P(ObjectStoreContract, AnEmptyObjectIsAnObject) {
  const ObjectId object = PutAndPin("empty", "");
  EXPECT_EQ(object.size, 0U);
  const ListPage page = List(AskFor("empty"));
  ASSERT_EQ(page.objects.size(), 1U);
  EXPECT_EQ(page.objects[0].id.size, 0U);
  EXPECT_EQ(page.objects[0].id.etag, object.etag);
  EXPECT_EQ(GetError(object, {0, 1}), ErrorCode::kInvalidArgument);
}

TEST_P(ObjectStoreContract, AnOverwrittenVersionIsGone) {
  const ObjectId first = PutAndPin("k", "one");
  const ObjectId second = PutAndPin("k", "two");
  EXPECT_NE(second.etag, first.etag);
  EXPECT_EQ(GetError(first, {0, 3}), ErrorCode::kVersionGone);
  EXPECT_EQ(Get(second, {0, 3}), "two");
  const ObjectId shorter = PutAndPin("k", "3");
  EXPECT_EQ(GetError(second, {0, 3}), ErrorCode::kVersionGone);
  EXPECT_EQ(GetError(second, {1, 1}), ErrorCode::kVersionGone) << "also of bytes that the new one does not have";
  EXPECT_EQ(Get(shorter, {0, 1}), "3");
}

TEST_P(ObjectStoreContract, ADeletedVersionIsGone) {
  const ObjectId object = PutAndPin("k", "one");
  subject_->Delete("k");
  EXPECT_EQ(GetError(object, {0, 3}), ErrorCode::kVersionGone);
}

TEST_P(ObjectStoreContract, WithoutAnEtagTheTimeAndTheSizePin) {
  ObjectId object = PutAndPin("k", "one");
  object.etag.clear();
  EXPECT_EQ(Get(object, {0, 3}), "one");
  ObjectId longer = object;
  longer.size = 4;
  EXPECT_EQ(GetError(longer, {0, 3}), ErrorCode::kVersionGone);
  ObjectId earlier = object;
  earlier.last_modified -= std::chrono::hours(1);
  EXPECT_EQ(GetError(earlier, {0, 3}), ErrorCode::kVersionGone);
}

TEST_P(ObjectStoreContract, TheSinksErrorEndsTheTransferAndIsTheAnswer) {
  const ObjectId object = PutAndPin("k", std::string(4 << 20, 'x'));
  int calls = 0;
  const auto sink = [&](uint64_t, std::span<const std::byte>) -> Result<void> {
    ++calls;
    return Error{.code = ErrorCode::kSystem, .message = "the sink is full", .sys_errno = ENOSPC};
  };
  const auto got = store().GetRange(object, {0, object.size}, sink, subject_->context());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kSystem);
  EXPECT_EQ(got.error().sys_errno, ENOSPC);
  EXPECT_EQ(calls, 1);
}

TEST_P(ObjectStoreContract, ATransferThatIsCancelledEnds) {
  const ObjectId object = PutAndPin("k", std::string(32 << 20, 'x'));
  std::atomic<bool> cancelled{false};
  CallContext context = subject_->context();
  context.cancelled = &cancelled;
  uint64_t received = 0;
  const auto sink = [&](uint64_t, std::span<const std::byte> bytes) -> Result<void> {
    received += bytes.size();
    cancelled = true;
    return {};
  };
  EXPECT_EQ(store().GetRange(object, {0, object.size}, sink, context).error().code, ErrorCode::kCancelled);
  EXPECT_GT(received, 0U);
  EXPECT_LT(received, object.size);
  received = 0;
  EXPECT_EQ(store().GetRange(object, {0, 1}, sink, context).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(received, 0U) << "cancelled before it began";
}

TEST_P(ObjectStoreContract, ManyThreadsGetTheirOwnBytes) {
  std::vector<ObjectId> objects;
  for (char name = 'a'; name < 'e'; ++name)
    objects.push_back(PutAndPin(std::string(1, name), std::string(50'000, name)));
  const auto work = [&](const ObjectId& object) {
    for (uint64_t round = 0; round < 10; ++round) {
      const ByteRange range{round * 100, 40'000};
      EXPECT_TRUE(Get(object, range) == std::string(range.size, object.key[0])) << object.key;
      EXPECT_EQ(IdOf(object.key).etag, object.etag);
    }
  };
  std::vector<std::thread> threads;
  for (const ObjectId& object : objects) threads.emplace_back(work, object);
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Kinds, ObjectStoreContract,
                         ::testing::Values(Kind{"memory", [] { return std::make_unique<MemorySubject>(); }},
                                           Kind{"real", MakeReal}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace s3overlay
