// SPDX-License-Identifier: Apache-2.0
//
// The rows of docs/semantics.md that speak of an outage, under every fault that is one or counts as one; and every lie
// that a store can tell about an object's bytes. A table of faults times a table of paths, not a test each.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <utility>

#include "fault/fault_fixture.h"
#include "fault/outages.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;

constexpr size_t kBlock = 128 * kKiB;
constexpr uint64_t kMiddle = 8 * kMiB;
constexpr int kOpTimeout = 2;  // Seconds.

// --- What makes a store unreachable.

struct OutageFault {
  const char* name;
  MakeOutage make;
  std::vector<int> errors = {EIO, ETIMEDOUT};  // What a program sees where nothing stands in.
};

HttpMessage WebPage(const std::string& status) {
  return {.start_line = "HTTP/1.1 " + status,
          .headers = {{"Content-Type", "text/html"}},
          .body = "<html>Log in to this network first</html>"};
}

MakeOutage EveryAnswerIs(HttpMessage answer) { return EveryAnswer({.answer = std::move(answer)}); }

std::vector<OutageFault> OutageFaults() {
  return {
      {.name = "Refused", .make = StoreThat(FaultProxy::Store::kRefused)},
      {.name = "HangsUp", .make = StoreThat(FaultProxy::Store::kHangsUp)},
      {.name = "Silent", .make = StoreThat(FaultProxy::Store::kSilent)},
      {.name = "PacketsVanish", .make = PacketsThatVanish()},
      {.name = "NameIsGone", .make = NameThatIs("gone")},
      {.name = "NameServerIsSilent", .make = NameThatIs("silent")},
      {.name = "Trickle", .make = EveryAnswer({.bytes_per_second = 5})},
      {.name = "InternalError", .make = EveryAnswerIs(S3ErrorAnswer("500 Internal Server Error", "InternalError"))},
      {.name = "ServiceUnavailable",
       .make = EveryAnswerIs(S3ErrorAnswer("503 Service Unavailable", "ServiceUnavailable"))},
      {.name = "PageOfNoService", .make = EveryAnswerIs(WebPage("503 Service Unavailable"))},
      {.name = "BadGateway", .make = EveryAnswerIs(WebPage("502 Bad Gateway"))},
      {.name = "PageInPlaceOfTheStore", .make = EveryAnswerIs(WebPage("200 OK"))},
      {.name = "PageThatSaysNotFound", .make = EveryAnswerIs(WebPage("404 Not Found"))},
      {.name = "CutInTheAnswer", .make = EveryAnswer({.cut_after = 0, .reset = true})},
  };
}

// Answers, and for a path as an outage (rows 08 and 09).
std::vector<OutageFault> Refusals() {
  const auto refusal = [](const char* name, MakeOutage make) {
    return OutageFault{.name = name, .make = std::move(make), .errors = {EACCES}};
  };
  return {
      refusal("AccessDenied", EveryAnswerIs(S3ErrorAnswer("403 Forbidden", "AccessDenied"))),
      refusal("KeyUnknown", EveryAnswerIs(S3ErrorAnswer("403 Forbidden", "InvalidAccessKeyId"))),
      refusal("TokenExpired", EveryAnswerIs(S3ErrorAnswer("400 Bad Request", "ExpiredToken"))),
      refusal("NoBucket", EveryAnswerIs(S3ErrorAnswer("404 Not Found", "NoSuchBucket"))),
      refusal("Redirect", EveryAnswerIs(S3ErrorAnswer("301 Moved Permanently", "PermanentRedirect"))),
      refusal("CertificateExpired", CertificateThatIs(BadCertificate::kExpired)),
      refusal("CertificateOfAnotherHost", CertificateThatIs(BadCertificate::kOfAnotherHost)),
      refusal("CertificateOfAStranger", CertificateThatIs(BadCertificate::kOfAStranger)),
  };
}

class OutageMatrix : public FaultTest, public ::testing::WithParamInterface<OutageFault> {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    if (!IsSkipped()) outage_ = GetParam().make(proxy(), sandbox());
  }
  void TearDown() override {
    if (outage_) EndOutage();
    open_.clear();
    MountTest::TearDown();
    outage_.reset();
  }

  // As those of everybody, and none takes longer than an operation may.
  template <typename Operation>
  static auto InTime(const std::string& path, Operation operation) {
    decltype(operation()) outcome{};
    EXPECT_LT(SecondsOf([&] { outcome = operation(); }), Promise(kOpTimeout + 2)) << path;
    return outcome;
  }
  static int StatError(const std::string& path) {
    return InTime(path, [&] { return testing::StatError(path); });
  }
  static int OpenError(const std::string& path) {
    return InTime(path, [&] { return testing::OpenError(path); });
  }
  static ReadOutcome ReadDirect(const std::string& path, uint64_t offset, size_t size) {
    return InTime(path, [&] { return testing::ReadDirect(path, offset, size); });
  }
  static ReadOutcome ReadAt(int fd, uint64_t offset, size_t size) {
    return InTime("a handle", [&] { return testing::ReadAt(fd, offset, size); });
  }
  static NamesOutcome ListNames(const std::string& path) {
    return InTime(path, [&] { return testing::ListNames(path); });
  }

  void PutEverything() {
    Put("cached", cached_);
    WriteLocal("cached", Pattern(cached_.size(), 9));
    Put("whole", whole_);
    WriteLocal("whole", Pattern(whole_.size(), 9));
    for (const char* const name : {"partly", "overwritten", "deleted"}) Put(name, large_);
    WriteLocal("partly", Pattern(large_.size(), 9));
    Put("cold", Pattern(1000));
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
    ASSERT_EQ(::mkfifo((LocalDirectory() + "/fifo").c_str(), 0644), 0);
    ASSERT_EQ(::mknod((LocalDirectory() + "/device").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  }
  void Archive() {
    for (const FaultRule& rule : Archived("cold")) proxy().AddRule(rule);
  }
  void MountOnTheWay() {
    outage_->Mount([this](std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), {"--op-timeout", std::to_string(kOpTimeout) + "s"});
      MountBoth(arguments);
    });
  }
  // What the mount comes to know before the fault.
  void Learn() {
    ASSERT_TRUE(Holds(At("cached"), cached_));
    ASSERT_TRUE(ComesToCache("cached"));
    ASSERT_TRUE(Holds(At("whole"), whole_));
    ASSERT_TRUE(ComesToCache("whole"));
    for (const char* const name : {"partly", "overwritten", "deleted"}) {
      open_[name] = OpenDirect(At(name));
      ASSERT_TRUE(SameBytes(ReadAt(open_[name].get(), kMiddle, kBlock), large_.substr(kMiddle, kBlock))) << name;
      ASSERT_TRUE(ComesPartlyToCache(name));
    }
    for (const char* const name : {"twins/same", "twins/other", "lone/s3-only", "hidden/below", "cold"})
      ASSERT_EQ(StatError(At(name)), 0);
    ASSERT_EQ(ListNames(At("dir")).names.size(), 2U);
    ASSERT_EQ(ListNames(At("")).error, 0);
  }
  bool IsRefusal() const { return GetParam().errors == std::vector<int>{EACCES}; }
  void BeginOutage() {
    proxy().ClearRules();
    outage_->Begin();
    is_out_ = true;
    if (!IsRefusal()) return ComeToBeCutOff();
    // No breaker opens: what was learned before holds for its time.
    sandbox().AllowErrorsInLog();
    for (const char* const name : {"cached", "lone/s3-only", "cold"}) EXPECT_TRUE(ComesToState(name, "stale"));
    for (const char* const name : {"twins/same", "dir/local"}) EXPECT_TRUE(ComesToState(name, "degraded"));
  }
  void EndOutage() {
    if (!std::exchange(is_out_, false)) return;
    outage_->End();
    Archive();
  }
  void ExpectHonestError(int error, const char* row) {
    EXPECT_THAT(GetParam().errors, Contains(error)) << ::strerrorname_np(error) << ", " << row;
  }

  void ExpectObjects() {
    EXPECT_TRUE(Holds(At("cached"), cached_)) << "row 03";
    EXPECT_EQ(State("cached"), "stale") << "row 03";
    EXPECT_TRUE(Holds(At("whole"), whole_)) << "row 03, as the kernel reads it";
    EXPECT_TRUE(SameBytes(ReadDirect(At("partly"), kMiddle, kBlock), large_.substr(kMiddle, kBlock))) << "row 04";
    ExpectHonestError(ReadDirect(At("partly"), 0, kBlock).error, "row 04");
    ExpectHonestError(OpenError(At("lone/s3-only")), "row 06");
    ExpectHonestError(StatError(At("never-asked-for")), "row 06: no absence");
    EXPECT_EQ(StatError(At("lone/s3-only")), 0) << "row 06: what was last known is shown";
    EXPECT_EQ(StatOf(At("cold")).st_size, 1000) << "row 13";
    ExpectHonestError(OpenError(At("cold")), "row 06, of an archived one");
  }
  // Also of objects that change meanwhile: the handle cannot tell.
  void ExpectHandles() {
    for (const auto& [name, fd] : open_) {
      EXPECT_TRUE(SameBytes(ReadAt(fd.get(), kMiddle, kBlock), large_.substr(kMiddle, kBlock))) << "row 14, " << name;
      ExpectHonestError(ReadAt(fd.get(), kMiddle / 2, kBlock).error, "row 14: never the local file's bytes");
    }
  }
  void ExpectStandIns() {
    EXPECT_LT(SecondsOf([&] { EXPECT_TRUE(Holds(At("twins/same"), "my bytes")) << "row 05"; }), Promise(2));
    EXPECT_EQ(State("twins/same"), "degraded") << "row 05";
    ExpectHonestError(OpenError(At("twins/other")), "row 05: known to differ");
    EXPECT_TRUE(Holds(At("unknown/both"), "local")) << "row 05";
    EXPECT_EQ(State("unknown/both"), "degraded") << "row 05";
    EXPECT_TRUE(Holds(At("only"), "local only"));
  }
  void ExpectNames() {
    EXPECT_THAT(ListNames(At("dir")).names, ::testing::ElementsAre("in-S3", "local")) << "row 16";
    EXPECT_THAT(ListNames(At("unknown")).names, ::testing::ElementsAre("both")) << "row 16";
    EXPECT_TRUE(S_ISDIR(StatOf(At("hidden")).st_mode)) << "row 17";
    if (const int error = StatError(At("odd/key")); error != ENOENT) ExpectHonestError(error, "row 18");
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
    EXPECT_TRUE(S_ISSOCK(StatOf(At("fifo")).st_mode)) << "row 23";
    EXPECT_EQ(OpenError(At("fifo")), ENXIO) << "row 23";
    EXPECT_TRUE(S_ISCHR(StatOf(At("device")).st_mode)) << "row 23";
    EXPECT_EQ(OpenError(At("device")), EACCES) << "row 23";
  }
  void ExpectAllIsAsItWas() {
    EXPECT_TRUE(ComesToState("cached", "fresh"));
    EXPECT_TRUE(Eventually([&] { return static_cast<bool>(Holds(At("twins/other"), "S3, and of another size")); }));
    EXPECT_TRUE(SameBytes(ReadAt(open_["partly"].get(), 0, kBlock), large_.substr(0, kBlock))) << "the handle goes on";
    EXPECT_TRUE(Eventually([&] { return OpenError(At("cold")) == EACCES; })) << "row 13";
  }
  // What was overwritten and deleted in the outage, and what its handles tell now that the store can be asked.
  void ExpectChanges() {
    EXPECT_TRUE(Eventually([&] { return ReadWhole(At("overwritten")).bytes == "another version"; })) << "row 11";
    EXPECT_TRUE(Eventually([&] { return StatError(At("deleted")) == ENOENT; })) << "row 12";
    for (const char* const name : {"overwritten", "deleted"}) {
      const int fd = open_[name].get();
      EXPECT_TRUE(SameBytes(ReadAt(fd, kMiddle, kBlock), large_.substr(kMiddle, kBlock))) << name;
      EXPECT_EQ(ReadAt(fd, 0, kBlock).error, ESTALE) << "rows 11 and 12, " << name;
    }
  }

  const std::string cached_ = Pattern(300 * kKiB);
  const std::string whole_ = Pattern(1200 * kKiB);  // Handed to the kernel, where it takes files.
  const std::string large_ = Pattern(2 * kMiddle);
  std::unique_ptr<Outage> outage_;
  bool is_out_ = false;
  std::map<std::string, UniqueFd> open_;
};

TEST_P(OutageMatrix, EveryRowHolds) {
  PutEverything();
  Archive();
  MountOnTheWay();
  Learn();
  ASSERT_FALSE(HasFatalFailure());
  BeginOutage();
  Put("overwritten", "another version");
  Delete("deleted");
  ExpectObjects();
  ExpectHandles();
  ExpectStandIns();
  ExpectNames();
  ExpectLocalLife();
  EndOutage();
  ExpectAllIsAsItWas();
  ExpectChanges();
}

std::string NameOf(const ::testing::TestParamInfo<OutageFault>& fault) { return fault.param.name; }

INSTANTIATE_TEST_SUITE_P(Faults, OutageMatrix, ::testing::ValuesIn(OutageFaults()), NameOf);
INSTANTIATE_TEST_SUITE_P(Refusals, OutageMatrix, ::testing::ValuesIn(Refusals()), NameOf);

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
