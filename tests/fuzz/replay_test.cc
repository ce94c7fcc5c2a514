// SPDX-License-Identifier: Apache-2.0
//
// Every input of the corpora, once, in every build: seeds, and what the fuzzers found. A fault ends the process.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/targets.h"
#include "s3overlay/log.h"

namespace s3overlay::fuzz {
namespace {

void Replay(const std::string& name, void (*target)(std::string_view)) {
  ASSERT_TRUE(StartLogging({.level = LogLevel::kOff, .format = LogFormat::kText, .file = {}}));
  int inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::string(S3OVERLAY_FUZZ_CORPUS) + "/" + name)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(stream), {}};
    std::cerr << file.path().filename().string() << '\n';  // The last one is it, where the process ends.
    target(input);
    ++inputs;
  }
  EXPECT_GT(inputs, 0);
}

TEST(FuzzCorpus, Xml) { Replay("xml", FuzzXml); }
TEST(FuzzCorpus, Http) { Replay("http", FuzzHttp); }
TEST(FuzzCorpus, Index) { Replay("index", FuzzIndex); }
TEST(FuzzCorpus, Config) { Replay("config", FuzzConfig); }
TEST(FuzzCorpus, Control) { Replay("control", FuzzControl); }

}  // namespace
}  // namespace s3overlay::fuzz
