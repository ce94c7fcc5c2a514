// SPDX-License-Identifier: Apache-2.0
#include "control/socket_path.h"

#include <gtest/gtest.h>

#include "s3overlay/hash.h"

namespace s3overlay {
namespace {

TEST(ControlSocketPath, LiesWhereTheUserMayWrite) {
  const std::string id = Hash64Hex("/data/set");
  EXPECT_EQ(ControlSocketPath("/data/set", 0, "/run/user/7"), "/run/s3overlay/" + id + ".sock");
  EXPECT_EQ(ControlSocketPath("/data/set", 7, "/tmp/runtime"), "/tmp/runtime/s3overlay/" + id + ".sock");
  EXPECT_EQ(ControlSocketPath("/data/set", 7, ""), "/run/user/7/s3overlay/" + id + ".sock");
}

TEST(ControlSocketPath, IsOneForAllSpellingsOfAMountpoint) {
  const std::string path = ControlSocketPath("/data/set", 0, "");
  for (const char* spelling : {"/data/set/", "/data//set", "/data/./set", "/data/other/../set//"}) {
    EXPECT_EQ(ControlSocketPath(spelling, 0, ""), path) << spelling;
  }
  EXPECT_NE(ControlSocketPath("/data/set2", 0, ""), path);
  EXPECT_NE(ControlSocketPath("/", 0, ""), ControlSocketPath("", 0, ""));
}

}  // namespace
}  // namespace s3overlay
