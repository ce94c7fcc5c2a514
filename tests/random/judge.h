// SPDX-License-Identifier: Apache-2.0
//
// Judge: whether what happened to an operation was right, given what the store and the local directory held and what
// was done to the mount meanwhile. That the bytes of a handle are of one version is not its affair (HandleCheck).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "random/file_history.h"
#include "random/handle_check.h"
#include "random/version_content.h"

namespace s3overlay::testing {

// The time of one mount under one kind of weather. The number tells the kind.
struct Episode {
  enum Kind : uint64_t {
    kDown,   // No mount, or none that is to be relied on: anything honest may happen.
    kCalm,   // Store and daemon are well: what fails or is old has to have its reason in the history.
    kRough,  // Faults are about: answers may be old and may fail, but are never wrong.
    kKinds,
  };
  uint64_t number = kDown;

  Kind kind() const { return static_cast<Kind>(number % kKinds); }
  friend bool operator==(const Episode&, const Episode&) = default;
};

// One operation: when it ran, and in which episode; in none (kDown) if it ran on from one into the next.
struct Attempt {
  Episode episode;
  TimeSpan time;
};

// Thread-safe.
class Judge {
 public:
  virtual ~Judge() = default;

  virtual Episode episode() const = 0;

  virtual Verdict OnOpenError(uint16_t path, int error, const Attempt& attempt) const = 0;
  // Which version an open gave; known only when a byte has been read.
  virtual Verdict OnOpened(const Version& version, const Attempt& attempt) const = 0;
  virtual Verdict OnStatus(uint16_t path, uint64_t size, const Attempt& attempt) const = 0;
  // The names of a directory ("" is the root), sorted.
  virtual Verdict OnListed(const std::string& directory, const std::vector<std::string>& names,
                           const Attempt& attempt) const = 0;
  virtual Verdict OnListError(const std::string& directory, int error, const Attempt& attempt) const = 0;
  // Of a handle: its version where that is known, and the attempt that opened it.
  virtual Verdict OnReadError(const HandleCheck& handle, int error, const Attempt& opened,
                              const Attempt& attempt) const = 0;
};

// Knows nothing: whatever can be honest at any time is.
class LenientJudge final : public Judge {
 public:
  Episode episode() const override { return {}; }
  Verdict OnOpenError(uint16_t path, int error, const Attempt& attempt) const override;
  Verdict OnOpened(const Version&, const Attempt&) const override { return std::nullopt; }
  Verdict OnStatus(uint16_t, uint64_t, const Attempt&) const override { return std::nullopt; }
  Verdict OnListed(const std::string&, const std::vector<std::string>&, const Attempt&) const override {
    return std::nullopt;
  }
  Verdict OnListError(const std::string& directory, int error, const Attempt& attempt) const override;
  Verdict OnReadError(const HandleCheck& handle, int error, const Attempt& opened,
                      const Attempt& attempt) const override;
};

// Whether an errno is one of those that faults, outages and the end of a daemon may give.
bool IsHonest(int error);

}  // namespace s3overlay::testing
