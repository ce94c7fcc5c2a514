// SPDX-License-Identifier: Apache-2.0
//
// HistoryJudge: knows what the store and the local directory held, and which episode it is.
#pragma once

#include <atomic>
#include <chrono>

#include "random/judge.h"
#include "random/world.h"

namespace s3overlay::testing {

struct HistoryJudgeOptions {
  std::chrono::milliseconds ttl{1000};    // Of names and versions, present or absent.
  std::chrono::milliseconds slack{1000};  // What the machine may take on top.
  bool calm_is_strict = true;             // Else even calm episodes may fail: the machine may be too slow.
};

// Thread-safe; one thread changes the episode.
class HistoryJudge final : public Judge {
 public:
  HistoryJudge(const FilePlan& plan, const World& world, HistoryJudgeOptions options);

  void SetEpisode(Episode::Kind kind);

  Episode episode() const override { return {episode_.load()}; }
  Verdict OnOpenError(uint16_t path, int error, const Attempt& attempt) const override;
  Verdict OnOpened(const Version& version, const Attempt& attempt) const override;
  Verdict OnStatus(uint16_t path, uint64_t size, const Attempt& attempt) const override;
  Verdict OnListed(const std::string& directory, const std::vector<std::string>& names,
                   const Attempt& attempt) const override;
  Verdict OnListError(const std::string& directory, int error, const Attempt& attempt) const override;
  Verdict OnReadError(const HandleCheck& handle, int error, const Attempt& opened,
                      const Attempt& attempt) const override;

 private:
  // The time in which a version must have been current for that attempt to be answered with it.
  TimeSpan Window(const Attempt& attempt) const;
  TimeSpan FallbackWindow(const Attempt& attempt) const;
  bool MayBeAbsent(uint16_t path, const Attempt& attempt) const;
  bool MustBeThere(uint16_t path, const Attempt& attempt) const;
  bool CannotBeThere(uint16_t path, const Attempt& attempt) const;
  std::string DescribePossible(uint16_t path, const Attempt& attempt) const;

  const FilePlan& plan_;
  const World& world_;
  const HistoryJudgeOptions options_;
  std::atomic<uint64_t> episode_{Episode::kDown};
};

}  // namespace s3overlay::testing
