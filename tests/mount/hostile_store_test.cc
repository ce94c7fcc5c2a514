// SPDX-License-Identifier: Apache-2.0
//
// A mount whose store is its enemy: it answers with honest errors, stays alive, and stays small.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <functional>

#include "support/http_server.h"
#include "support/mount/files.h"
#include "support/mount/sandbox.h"

namespace s3overlay::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;

// Of the daemon, with a memory limit of 64 MiB, in a build with sanitizers too; a gigabyte kept would be far above.
constexpr size_t kPeakLimit = 640 * kMiB;

using Handler = HttpServer::Handler;

std::string Object(std::string_view key, uint64_t size) {
  return fmt::format("<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;abc&quot;</ETag></Contents>", key, size);
}

std::string Page(std::string_view inside, std::string_view token = "") {
  const std::string way_on = token.empty() ? "<IsTruncated>false</IsTruncated>"
                                           : fmt::format(
                                                 "<IsTruncated>true</IsTruncated><NextContinuationToken>{}"
                                                 "</NextContinuationToken>",
                                                 token);
  return fmt::format("<ListBucketResult>{}{}</ListBucketResult>", way_on, inside);
}

bool IsList(const ServedRequest& request) { return request.target.find("list-type=2") != std::string::npos; }

void SendForEver(ServedConnection& connection, const std::string& start, const std::string& again, size_t bytes) {
  connection.SendRaw(start);
  for (size_t sent = 0; sent < bytes; sent += again.size()) connection.SendRaw(again);
  connection.Close();
}

constexpr std::string_view kKeys[] = {
    "data/..",  "data/.", "data//x", "data/../../etc/passwd", "data/&#0;x", "data/file&#0;", "data/a&#10;b&#27;[31m",
    "data/file"};

class Hostile : public ::testing::Test {
 protected:
  Hostile()
      : server_([this](const ServedRequest& request, ServedConnection& connection) { Answer(request, connection); }) {
    sandbox_ = std::make_unique<Sandbox>(server_.url());
    sandbox_->SetEnvironment("AWS_ACCESS_KEY_ID", "KEYOFTHEHOSTILE");
    sandbox_->SetEnvironment("AWS_SECRET_ACCESS_KEY", "its-secret");
    sandbox_->AllowErrorsInLog();
    MountOptions options;
    options.arguments = {"--layer", "s3://hostile/data", "--op-timeout", "1s", "--memory-limit", "64M"};
    mount_ = std::make_unique<Mount>(*sandbox_, options);
    pid_ = mount_->pid();
  }

  ~Hostile() override {
    EXPECT_EQ(mount_->pid(), pid_) << "the daemon ended";
    const std::string status = ReadWhole(fmt::format("/proc/{}/status", pid_)).bytes;
    const size_t peak = status.find("VmHWM:");
    EXPECT_NE(peak, std::string::npos);
    if (peak != std::string::npos) {
      EXPECT_LT(std::strtoull(status.c_str() + peak + 6, nullptr, 10) * kKiB, kPeakLimit);
    }
    Behave({});
    mount_.reset();
  }

  // How requests are answered from now on; without a handler, as an empty store does.
  void Behave(Handler handler) {
    const MutexLock lock(mu_);
    handler_ = std::move(handler);
  }

  // A store that lists kKeys and a huge object, and answers a GET as `get` does.
  void ServeKeys(Handler get) {
    std::string objects =
        Object("data/huge", uint64_t{0x7fffffffffffffff}) + Object("data/" + std::string(kMiB, 'k'), 1);
    for (const std::string_view key : kKeys) objects += Object(key, 100'000);
    Behave([objects, get](const ServedRequest& request, ServedConnection& connection) {
      if (IsList(request)) return connection.Reply(200, {}, Page(objects + objects));
      get(request, connection);
    });
  }

  std::string At(std::string_view name) const { return *mount_ / name; }
  NamesOutcome Names() const { return ListNames(mount_->path()); }

 private:
  void Answer(const ServedRequest& request, ServedConnection& connection) {
    Handler handler;
    {
      const MutexLock lock(mu_);
      handler = handler_;
    }
    if (handler) return handler(request, connection);
    connection.Reply(200, {}, Page(""));
  }

  Mutex mu_;
  Handler handler_ S3OVERLAY_GUARDED_BY(mu_);
  HttpServer server_;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Mount> mount_;
  pid_t pid_ = -1;
};

TEST_F(Hostile, NamesNeitherEscapeNorRepeat) {
  ServeKeys([](const ServedRequest&, ServedConnection& connection) { connection.Reply(500); });
  ASSERT_TRUE(Eventually([&] { return !Names().names.empty(); }));
  EXPECT_THAT(Names().names, ::testing::UnorderedElementsAre("a\nb\x1b[31m", "file", "huge"));
  EXPECT_EQ(StatOf(At("huge")).st_size, 0x7fffffffffffffff);
}

// What a handler needs it holds itself: requests of a readahead outlast the body of a test.
TEST_F(Hostile, BytesThatAreNotWhatWasAskedForAreAnError) {
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  const std::string part = "HTTP/1.1 206 Partial\r\nETag: \"abc\"\r\nContent-Range: bytes ";
  const auto endless = [chunk](const std::string& head, size_t bytes) -> Handler {
    return [chunk, head, bytes](const ServedRequest&, ServedConnection& connection) {
      SendForEver(connection, head + "Transfer-Encoding: chunked\r\n\r\n", chunk, bytes);
    };
  };
  const Handler huge_header = [](const ServedRequest&, ServedConnection& connection) {
    SendForEver(connection, "HTTP/1.1 206 Partial\r\nA: ", std::string(kMiB, 'x'), 64 * kMiB);
  };
  const Handler lies[] = {endless(part + "5-1/100000\r\n", kMiB), endless(part + "0-99999/100000\r\n", kMiB),
                          endless("HTTP/1.1 404 Not Found\r\n", 1024 * kMiB), huge_header};
  ServeKeys(lies[0]);
  ASSERT_TRUE(Eventually([&] { return !Names().names.empty(); }));
  for (const Handler& lie : lies) {
    ServeKeys(lie);
    const ReadOutcome outcome = ReadWhole(At("file"));
    if (outcome.error == 0) {
      EXPECT_EQ(outcome.bytes, std::string(100'000, 'x'))
          << "all that was asked for came, and more, which is no part of it";
    } else {
      EXPECT_THAT(outcome.error, AnyOf(Eq(EIO), Eq(ESTALE), Eq(ETIMEDOUT)));
    }
  }
}

std::string TenNames(int from) {
  std::string objects;
  for (int i = 0; i < 10; ++i) objects += Object(fmt::format("data/{:09}", from + i), 1);
  return objects;
}

TEST_F(Hostile, ListsWithoutEndAreAnError) {
  const auto page_number = std::make_shared<std::atomic<int>>(0);
  const Handler always_more = [page_number](const ServedRequest&, ServedConnection& connection) {
    const int page = ++*page_number;
    connection.Reply(200, {}, Page(TenNames(page * 10), fmt::format("t{}", page)));
  };
  const Handler always_the_same = [page_number](const ServedRequest&, ServedConnection& connection) {
    connection.Reply(200, {}, Page(TenNames(0), fmt::format("t{}", ++*page_number)));
  };
  const Handler one_gigabyte = [](const ServedRequest&, ServedConnection& connection) {
    SendForEver(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", std::string(kMiB, ' '),
                1024 * kMiB);
  };
  const Handler markup = [](const ServedRequest&, ServedConnection& connection) {
    std::string body = "<ListBucketResult><IsTruncated>false</IsTruncated>";
    for (int i = 0; i < 3'000'000; ++i) body += "<a/>";
    connection.Reply(200, {}, body + "</ListBucketResult>");
  };
  for (const Handler& handler : {always_more, always_the_same, one_gigabyte, markup}) {
    Behave(handler);
    // What was last known, an empty directory, may be shown for its time, and for an outage; never a part of this.
    ASSERT_TRUE(Eventually([&] { return StatError(At("000000011")) != ENOENT; }));
    const NamesOutcome outcome = Names();
    EXPECT_TRUE(outcome.names.empty()) << outcome.names.front();
    Behave({});
    ASSERT_TRUE(Eventually([&] { return StatError(At("000000011")) == ENOENT; }));
  }
}

TEST_F(Hostile, RedirectsLeadNowhere) {
  HttpServer elsewhere([](const ServedRequest&, ServedConnection& connection) { connection.Reply(200, {}, Page("")); });
  Behave([place = elsewhere.url() + "/hostile/data/file"](const ServedRequest&, ServedConnection& connection) {
    connection.Reply(307, {{"Location", place}});
  });
  ASSERT_TRUE(Eventually([&] { return StatError(At("file")) != ENOENT; }));
  EXPECT_THAT(StatError(At("file")), AnyOf(Eq(EIO), Eq(EACCES), Eq(ETIMEDOUT)));
  EXPECT_EQ(elsewhere.connections(), 0);
}

}  // namespace
}  // namespace s3overlay::testing
