// SPDX-License-Identifier: Apache-2.0
#include "http/reception.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace s3overlay {
namespace {

TEST(Reception, AnnouncesOnlyTheFinalAnswerAndOnce) {
  std::vector<int> announced;
  const HttpSink sink{[&](const HttpResponse& response) -> Result<void> {
                        announced.push_back(response.status);
                        return {};
                      },
                      nullptr};
  Reception reception(sink);
  for (const char* line : {"HTTP/1.1 100 Continue\r\n", "Early: 1\r\n", "\r\n", "HTTP/1.1 206 Partial Content\r\n",
                           "ETag:\t\"a\" \r\n", "Folded: one\r\n", "   two\r\n", "\r\n", "Trailer: late\r\n", "\r\n"}) {
    EXPECT_TRUE(reception.TakeHeaderLine(line)) << line;
  }
  EXPECT_EQ(announced, std::vector<int>{206});
  const HttpResponse response = reception.TakeResponse();
  ASSERT_EQ(response.headers.size(), 2u);
  EXPECT_EQ(*response.FindHeader("etag"), "\"a\"");
  EXPECT_EQ(*response.FindHeader("folded"), "one two");
}

TEST(Reception, RefusesHeadersWithoutEnd) {
  const HttpSink sink;
  Reception reception(sink);
  ASSERT_TRUE(reception.TakeHeaderLine("HTTP/1.1 200 OK\r\n"));
  const std::string line = "A: " + std::string(10'000, 'x') + "\r\n";
  int taken = 0;
  while (taken < 1000 && reception.TakeHeaderLine(line)) ++taken;
  EXPECT_LT(taken, 1000);
  EXPECT_EQ(reception.BreakOffError()->code, ErrorCode::kUnavailable);
}

TEST(Reception, SurvivesStatusLinesThatAreNone) {
  for (const char* line : {"HTTP/", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 abc", "HTTP/1.1 99999999999999999999"}) {
    const HttpSink sink;
    Reception reception(sink);
    EXPECT_TRUE(reception.TakeHeaderLine(line));
    EXPECT_TRUE(reception.TakeHeaderLine("\r\n"));
    EXPECT_FALSE(reception.is_announced()) << line;
  }
}

TEST(Reception, KeepsWhatASinkThrowsUntilItCanBeThrownOn) {
  const HttpSink sink{nullptr, [](std::span<const std::byte>) -> Result<void> { throw std::runtime_error("bug"); }};
  Reception reception(sink);
  EXPECT_FALSE(reception.TakeBody(std::as_bytes(std::span("x", 1))));
  EXPECT_THROW((void)reception.BreakOffError(), std::runtime_error);
}

}  // namespace
}  // namespace s3overlay
