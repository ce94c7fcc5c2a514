// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/redact.h"

#include <gtest/gtest.h>

namespace s3overlay {
namespace {

TEST(RedactUrl, LeavesOutUserPasswordAndQuery) {
  EXPECT_EQ(RedactUrl("https://host:9000/bucket/key"), "https://host:9000/bucket/key");
  EXPECT_EQ(RedactUrl("https://user:word@host/key"), "https://...@host/key");
  EXPECT_EQ(RedactUrl("https://user:w/o?r@d@host/key?X-Amz-Signature=abc"), "https://...@host/key?...");
  EXPECT_EQ(RedactUrl("https://host/key?X-Amz-Signature=a@b"), "https://...@b");
  EXPECT_EQ(RedactUrl("https://host#secret"), "https://host?...");
  EXPECT_EQ(RedactUrl("/a/path?x"), "/a/path?x");
  EXPECT_EQ(RedactUrl(""), "");
}

}  // namespace
}  // namespace s3overlay
