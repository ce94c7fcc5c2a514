// SPDX-License-Identifier: Apache-2.0
//
// What is fuzzed: each function takes one input, whatever its bytes are. An input is a fault when a sanitizer speaks,
// when the process ends, when it takes too long or too much memory, or when an answer is not what its contract says.
// `entry.cc` makes a libFuzzer program of each; `replay_test.cc` runs them over the corpora in every build.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace s3overlay::fuzz {

void FuzzXml(std::string_view input);      // Pages of lists and error documents.
void FuzzHttp(std::string_view input);     // Header lines, and what is concluded from them.
void FuzzIndex(std::string_view input);    // The cache's index, as a file and row by row.
void FuzzConfig(std::string_view input);   // Configuration and environment files, layers, endpoints, values.
void FuzzControl(std::string_view input);  // The JSON of the control socket.

// Takes an input apart. What is missing at its end is zero or empty.
class InputReader {
 public:
  explicit InputReader(std::string_view input) : rest_(input) {}

  uint8_t Byte() { return static_cast<uint8_t>(Number(1)); }
  uint64_t Number(size_t bytes = 8) {
    uint64_t number = 0;
    for (const char c : Take(bytes)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
  }
  std::string_view Text() { return Take(Byte()); }
  std::string_view Take(size_t size) {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// Ends the process where a contract is broken; not an assertion, as those are off in optimised builds.
#define S3OVERLAY_FUZZ_CHECK(condition)                                                        \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      std::fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)

}  // namespace s3overlay::fuzz
