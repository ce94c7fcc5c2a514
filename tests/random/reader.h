// SPDX-License-Identifier: Apache-2.0
//
// Reader: one reader's random operations on a mount, each one checked. Several handles at once, each with a pattern of
// its own; mappings that outlive their handles.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "random/findings.h"
#include "random/handle_check.h"
#include "random/judge.h"
#include "random/reading.h"
#include "random/version_content.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

// What readers share. All of it outlives them.
struct ReaderSetting {
  std::string mountpoint;
  const FilePlan& plan;
  const Judge& judge;
  Findings& findings;
  // Whether the mount of now hands whole objects to the kernel. For the tally alone.
  const std::atomic<bool>& passes_through;
  // Not in the process of the proxy: the kernel may hold a process's memory map while a page is read for it the second
  // time, and the proxy cannot bring that page when it needs the map itself.
  bool may_map = true;
};

// Of one thread.
class Reader {
 public:
  Reader(const ReaderSetting& setting, std::string name, uint64_t seed);

  // One random operation.
  void Step();

  struct Tally {
    uint64_t bytes = 0;
    uint64_t opens = 0;
    uint64_t failed_opens = 0;
    uint64_t reads = 0;
    uint64_t failed_reads = 0;
    // Of objects that were large enough for passthrough and wholly in the cache when they were opened: on a mount with
    // passthrough, and on one without.
    uint64_t reads_of_passed = 0;
    uint64_t reads_of_whole = 0;
  };
  const Tally& tally() const { return tally_; }

 private:
  enum class Pattern { kSequential, kRandom, kBackward, kStrided, kTailFirst };
  static constexpr uint64_t kPatterns = 5;

  struct OpenFile {
    UniqueFd fd;
    HandleCheck check;
    Attempt opened;
    int number;  // In the log.
    bool is_direct = false;
    uint64_t Tally::* tally = nullptr;  // Where its reads are counted beside.
    bool is_judged = false;             // Whether this version was to be had.
    Pattern pattern = Pattern::kRandom;
    uint64_t position = 0;
    uint64_t size = 0;
    bool saw_tail = false;
  };
  struct OpenMapping {
    Mapping mapping;
    HandleCheck check;
    Attempt opened;
    int number;
    bool is_judged = false;
  };
  struct Range {
    uint64_t offset;
    size_t size;
  };

  uint64_t Below(uint64_t limit) { return random_() % limit; }
  std::string AbsolutePath(uint16_t path) const;
  Attempt Begin() const;
  void End(Attempt& attempt) const;

  // The operations.
  void Open();
  void Reopen();
  void Read();
  void Map();
  void ReadMapping();
  void Status();
  void List();
  void CheckFacts();
  void DropPages();

  void Adopt(uint16_t path, UniqueFd fd, bool is_direct, const Attempt& opened);
  bool ReadOnce(OpenFile& file);
  Range NextRange(OpenFile& file);
  size_t RandomSize();
  bool LearnFacts(OpenFile& file);
  uint64_t Tally::* TallyOf(const OpenFile& file) const;

  // The checks. False where something was wrong.
  template <typename Handle>
  bool CheckReading(Handle& handle, const Reading& reading, uint64_t offset, const Attempt& attempt);
  bool Report(uint16_t path, const Verdict& verdict);
  void Note(uint16_t path, std::string_view what);

  const ReaderSetting& setting_;
  const std::string name_;
  std::mt19937_64 random_;
  std::vector<OpenFile> files_;
  std::vector<OpenMapping> mappings_;
  int handles_opened_ = 0;
  Tally tally_;
};

}  // namespace s3overlay::testing
