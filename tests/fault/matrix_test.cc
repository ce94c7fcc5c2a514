// SPDX-License-Identifier: Apache-2.0
//
// The rows of docs/semantics.md that speak of an outage, under every fault that is one; and every lie that a store can
// tell about an object's bytes. A table of faults times a table of paths, not a test each.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <optional>

#include "fault/fault_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;

constexpr size_t kBlock = 128 * kKiB;
constexpr uint64_t kMiddle = 8 * kMiB;

// --- What makes a store unreachable.

struct OutageFault {
  const char* name;
  FaultProxy::Store store = FaultProxy::Store::kUp;
  std::optional<Fault> fault{};  // Of every answer, where the store itself is up.
};

HttpMessage WebPage(const std::string& status) {
  return {.start_line = "HTTP/1.1 " + status,
          .headers = {{"Content-Type", "text/html"}},
          .body = "<html>Log in to this network first</html>"};
}

std::vector<OutageFault> OutageFaults() {
  return {
      {.name = "Refused", .store = FaultProxy::Store::kRefused},
      {.name = "HangsUp", .store = FaultProxy::Store::kHangsUp},
      {.name = "Silent", .store = FaultProxy::Store::kSilent},
      {.name = "InternalError", .fault = Fault{.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")}},
      {.name = "BadGateway", .fault = Fault{.answer = WebPage("502 Bad Gateway")}},
      {.name = "PageInPlaceOfTheStore", .fault = Fault{.answer = WebPage("200 OK")}},
      {.name = "PageThatSaysNotFound", .fault = Fault{.answer = WebPage("404 Not Found")}},
      {.name = "CutInTheAnswer", .fault = Fault{.cut_after = 0, .reset = true}},
  };
}

class OutageMatrix : public FaultTest, public ::testing::WithParamInterface<OutageFault> {
 protected:
  void PutEverything() {
    Put("cached", cached_);
    WriteLocal("cached", Pattern(cached_.size(), 9));
    Put("partly", partly_);
    WriteLocal("partly", Pattern(partly_.size(), 9));
    Put("twins/same", "S3 bytes");
    WriteLocal("twins/same", "my bytes");
    Put("twins/other", "S3, and of another size");
    WriteLocal("twins/other", "local");
    Put("lone/s3-only", "in S3");
    Put("unknown/both", "in S3");
    WriteLocal("unknown/both", "local");
    Put("dir/in-S3", "x");
    WriteLocal("dir/local", "x");
    Put("hidden", "an object");
    Put("hidden/below", "below");
    Put("odd//key", "never shown");
    WriteLocal("only", "local only");
    std::filesystem::create_symlink("only", LocalDirectory() + "/link");
  }
  // What the mount comes to know before the fault.
  void Learn() {
    ASSERT_TRUE(Holds(At("cached"), cached_));
    ASSERT_TRUE(ComesToCache("cached"));
    ASSERT_TRUE(SameBytes(ReadDirect(At("partly"), kMiddle, kBlock), partly_.substr(kMiddle, kBlock)));
    ASSERT_TRUE(ComesPartlyToCache("partly"));
    for (const char* const name : {"twins/same", "twins/other", "lone/s3-only", "hidden/below"})
      ASSERT_EQ(StatError(At(name)), 0);
    ASSERT_EQ(ListNames(At("dir")).names.size(), 2U);
    ASSERT_EQ(ListNames(At("")).error, 0);
  }
  void BeginOutage() {
    if (GetParam().fault) proxy().AddRule({.fault = *GetParam().fault});
    CutOff(GetParam().store);
  }
  void EndOutage() {
    proxy().ClearRules();
    proxy().SetStore(Store::kUp);
  }
  void ExpectHonestError(int error) { EXPECT_THAT(error, AnyOf(EIO, ETIMEDOUT)); }

  void ExpectObjects(const UniqueFd& open) {
    EXPECT_TRUE(Holds(At("cached"), cached_)) << "row 03";
    EXPECT_EQ(State("cached"), "stale") << "row 03";
    EXPECT_TRUE(SameBytes(ReadDirect(At("partly"), kMiddle, kBlock), partly_.substr(kMiddle, kBlock))) << "row 04";
    ExpectHonestError(ReadDirect(At("partly"), 0, kBlock).error);  // Row 04.
    EXPECT_TRUE(SameBytes(ReadAt(open.get(), kMiddle, kBlock), partly_.substr(kMiddle, kBlock))) << "row 14";
    ExpectHonestError(ReadAt(open.get(), kMiddle / 2, kBlock).error);  // Row 14: never the local file's bytes.
    ExpectHonestError(OpenError(At("lone/s3-only")));                  // Row 06.
    ExpectHonestError(StatError(At("never-asked-for")));               // Row 06: no absence.
    EXPECT_EQ(StatError(At("lone/s3-only")), 0) << "row 06: what was last known is shown";
  }
  void ExpectStandIns() {
    EXPECT_TRUE(Holds(At("twins/same"), "my bytes")) << "row 05";
    EXPECT_EQ(State("twins/same"), "degraded") << "row 05";
    ExpectHonestError(OpenError(At("twins/other")));  // Row 05: known to differ.
    EXPECT_TRUE(Holds(At("unknown/both"), "local")) << "row 05";
    EXPECT_EQ(State("unknown/both"), "degraded") << "row 05";
    EXPECT_TRUE(Holds(At("only"), "local only"));
  }
  void ExpectNames() {
    EXPECT_THAT(ListNames(At("dir")).names, ::testing::ElementsAre("in-S3", "local")) << "row 16";
    EXPECT_THAT(ListNames(At("unknown")).names, ::testing::ElementsAre("both")) << "row 16";
    EXPECT_TRUE(S_ISDIR(StatOf(At("hidden")).st_mode)) << "row 17";
    EXPECT_THAT(StatError(At("odd/key")), AnyOf(ENOENT, EIO, ETIMEDOUT)) << "row 18";
  }
  // What has nothing to do with S3 works as ever.
  void ExpectLocalLife() {
    EXPECT_EQ(std::filesystem::read_symlink(At("link")), "only") << "row 19";
    EXPECT_TRUE(Holds(At("link"), "local only")) << "row 19";
    WriteLocal("only", "changed in place");
    EXPECT_TRUE(Holds(At("only"), "changed in place")) << "row 20";
    EXPECT_EQ(::open(At("new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644), -1) << "row 21";
    EXPECT_NE(::unlink(At("only").c_str()), 0) << "row 21";
    const UniqueFd fd(::open(At("only").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::flock(fd.get(), LOCK_SH), 0) << "row 22";
    void* const mapped = ::mmap(nullptr, 7, PROT_READ, MAP_SHARED, fd.get(), 0);
    ASSERT_NE(mapped, MAP_FAILED) << "row 22";
    EXPECT_EQ(std::string(static_cast<const char*>(mapped), 7), "changed") << "row 22";
    ::munmap(mapped, 7);
  }

  const std::string cached_ = Pattern(300 * kKiB);
  const std::string partly_ = Pattern(2 * kMiddle);
};

TEST_P(OutageMatrix, EveryRowHolds) {
  PutEverything();
  MountBoth({"--op-timeout", "2s"});
  Learn();
  const UniqueFd open = OpenDirect(At("partly"));
  ASSERT_TRUE(open.is_open());
  BeginOutage();
  ExpectObjects(open);
  ExpectStandIns();
  ExpectNames();
  ExpectLocalLife();
  EndOutage();
  EXPECT_TRUE(ComesToState("cached", "fresh"));
  EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("twins/other"), "S3, and of another size")); }));
  EXPECT_TRUE(SameBytes(ReadAt(open.get(), 0, kBlock), partly_.substr(0, kBlock))) << "the handle goes on";
}

INSTANTIATE_TEST_SUITE_P(Faults, OutageMatrix, ::testing::ValuesIn(OutageFaults()),
                         [](const auto& fault) { return std::string(fault.param.name); });

// --- What a store can say in place of an object's bytes, for good.

struct ByteFault {
  const char* name;
  Fault fault;
  bool is_honest = false;  // Every byte comes, late or with others behind: the read may succeed.
};

void MakeSixHundredKiB(HttpMessage& answer, const std::string& body) {
  answer.body = body;
  answer.body.resize(600 * kKiB, ' ');
}

// The length is changed by so much, and the body stays.
Fault LengthOff(int64_t bytes) {
  const auto change = [bytes](HttpMessage& answer) {
    answer.Set("Content-Length", std::to_string(static_cast<int64_t>(answer.body.size()) + bytes));
  };
  return {.rewrite = change, .false_length = true};
}

// The body is changed, and the length stays.
Fault BodyOff(std::function<void(HttpMessage&)> change) { return {.rewrite = std::move(change), .false_length = true}; }

// What would be the answer to the same question again, were it taken for one.
void AppendForgery(HttpMessage& answer) { answer.body += answer.Head() + std::string(answer.body.size(), 'x'); }

std::vector<ByteFault> ByteFaults() {
  const auto change = [](std::function<void(HttpMessage&)> rewrite) { return Fault{.rewrite = std::move(rewrite)}; };
  const auto halve = [](HttpMessage& answer) { answer.body.resize(answer.body.size() / 2); };
  return {
      {"cut", {.cut_after = 1000}},
      {"reset", {.cut_after = 1000, .reset = true}},
      {"closed-at-once", {.cut_after = 0}},
      {"half-close", {.cut_after = 1000, .half_close = true}},
      {"stall", {.stall_after = 1000}},
      {"slow", {.bytes_per_second = 400 * kKiB}, true},
      {"trickle", {.bytes_per_second = 500}},
      {"short", change(halve)},
      {"long", change([](HttpMessage& answer) { answer.body += "more"; })},
      {"promises-more", LengthOff(1000)},
      {"promises-less", LengthOff(-1000)},
      {"gives-less", BodyOff(halve)},
      {"gives-more", BodyOff([](HttpMessage& answer) { answer.body += "more"; }), true},
      {"gives-a-second-answer", BodyOff(AppendForgery), true},
      {"other-range", change([](HttpMessage& answer) { answer.Set("Content-Range", "bytes 4096-8191/614400"); })},
      {"no-range", change([](HttpMessage& answer) { answer.Remove("Content-Range"); })},
      {"other-etag", change([](HttpMessage& answer) { answer.Set("ETag", "\"00000000000000000000000000000000\""); })},
      {"document-of-that-length", change([](HttpMessage& answer) {
         answer.start_line = "HTTP/1.1 200 OK";
         answer.Remove("Content-Range");
         answer.Remove("ETag");
         MakeSixHundredKiB(answer, "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>");
       })},
      {"error-500", {.answer = S3ErrorAnswer("500 Internal Server Error", "InternalError")}},
      {"error-416", {.answer = S3ErrorAnswer("416 Range Not Satisfiable", "InvalidRange")}},
      {"redirect", {.answer = S3ErrorAnswer("301 Moved Permanently", "PermanentRedirect")}},
      {"page", {.answer = WebPage("200 OK")}},
  };
}

class ByteMatrix : public FaultTest {
 protected:
  // The bytes that came are the object's, and all of them came where there is no error.
  void ExpectNoLie(const ByteFault& fault, const ReadOutcome& outcome, const std::string& object) {
    EXPECT_TRUE(object.substr(0, outcome.bytes.size()) == outcome.bytes) << fault.name;
    EXPECT_GT(proxy().Count("GET", "/" + std::string(fault.name)), 0) << fault.name << " was not met";
    if (fault.is_honest && outcome.error == 0) {
      EXPECT_EQ(outcome.bytes.size(), object.size()) << fault.name;
    } else {
      EXPECT_THAT(outcome.error, AnyOf(EIO, ETIMEDOUT, ESTALE, EACCES)) << fault.name;
    }
  }
};

TEST_F(ByteMatrix, NoLieIsTakenForBytes) {
  const std::string object = Pattern(600 * kKiB);
  const std::vector<ByteFault> faults = ByteFaults();
  Put("untouched", object);
  for (const ByteFault& fault : faults) {
    Put(fault.name, object);
    WriteLocal(fault.name, Pattern(object.size(), 9));
  }
  sandbox().AllowErrorsInLog();       // A redirect is a fault of the mount.
  MountBoth({"--op-timeout", "3s"});  // No trickle brings the object in that time.
  for (const ByteFault& fault : faults) {
    proxy().AddRule({.operation = "GET", .target_part = "/" + std::string(fault.name), .fault = fault.fault});
  }
  for (const ByteFault& fault : faults) ASSERT_EQ(State(fault.name), "fresh");
  std::vector<std::future<ReadOutcome>> readers;
  for (const ByteFault& fault : faults) {
    readers.push_back(std::async(std::launch::async, [&] {
      const UniqueFd fd = OpenDirect(At(fault.name));
      return fd.is_open() ? ReadAt(fd.get(), 0, object.size()) : ReadOutcome{.bytes = {}, .error = EIO};
    }));
  }
  for (size_t i = 0; i < faults.size(); ++i) ExpectNoLie(faults[i], readers[i].get(), object);
  // What was left on a connection answers nobody.
  EXPECT_TRUE(Eventually([&] { return ReadWhole(At("untouched")).error == 0; }));
  EXPECT_TRUE(Holds(At("untouched"), object));
}

TEST_F(ByteMatrix, ALineThatIsSlowAndNotTooSlowBringsEveryByte) {
  constexpr uint64_t kSeconds = 12;  // Longer than a rate that is too low is borne.
  const std::string object = Pattern(kSeconds * 4 * kKiB);
  Put("a", object);
  MountStore({"--op-timeout", "60s"});
  proxy().AddRule({.operation = "GET", .fault = {.bytes_per_second = 4 * kKiB}});
  const double seconds = SecondsOf([&] { EXPECT_TRUE(SameBytes(ReadDirect(At("a"), 0, object.size()), object)); });
  EXPECT_GT(seconds, kSeconds - 1.0) << "the line was not slow";
  EXPECT_EQ(proxy().Count("GET"), 1) << "it was not broken off";
  EXPECT_EQ(BreakerState(), "closed");
}

}  // namespace
}  // namespace s3overlay::testing
