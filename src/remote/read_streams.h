// SPDX-License-Identifier: Apache-2.0
//
// ReadStreams: the readers that walk through a file in one direction, told apart by where they are, and how far ahead
// of each of them bytes are asked for. Positions grow in the direction of the walk; `readahead` mirrors the file for
// those that walk backward.
//
// A window opens wide at once: doubling from one block would cost ten round trips before the network is busy. From then
// on it follows the reader: it doubles when the reader has come to what was asked for last and still has to wait, and
// as long as the doubling before made the reader faster. More than that would only take memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "s3overlay/byte_range.h"
#include "s3overlay/clock.h"

namespace s3overlay {

struct ReadStreamsOptions {
  uint64_t file_size = 0;
  uint64_t block_size = 128 << 10;
  uint64_t phase = 0;  // The first block's border; the others follow each block_size.
  // Reads in a row after which a window opens. The kernel sends reads of one reader in any order, so that two that
  // seem to go backward prove nothing.
  int opens_at = 2;
  uint64_t first_window = 16 << 20;  // Bytes ahead of a reader. Larger: more waste where a reader stops soon.
  uint64_t max_window = 256 << 20;   // Larger: more memory, for faster and more distant networks.
  uint64_t min_part = 1 << 20;  // Bytes of one range that is answered: a sixteenth of the window between these two.
  uint64_t max_part = 8 << 20;
  size_t max_streams = 16;
};

// What is known of a reader beside where it reads.
struct ReaderState {
  bool waits = true;                // Its bytes are not here: it waits for the network now.
  uint64_t allowance = UINT64_MAX;  // Bytes that the streams of this handle together may have ahead of them.
  TimePoint now{};
};

// Not thread-safe. A pure state machine.
class ReadStreams {
 public:
  explicit ReadStreams(const ReadStreamsOptions& options) : options_(options) {}

  // What to ask for, where `read` continues a stream; nothing (and no change) where it does not.
  std::optional<std::vector<ByteRange>> Continue(ByteRange read, const ReaderState& state);

  // A read that others of its stream have overtaken says nothing new. `established`: of a stream with a window.
  bool IsLate(ByteRange read, bool established) const;

  void Start(ByteRange read);

  // Nobody will fetch `range`: it is asked for again later, by a reader who goes more slowly.
  void OnRefused(ByteRange range);

  // The streams' bytes from `position` on have been asked for elsewhere.
  void SkipTo(uint64_t position);

  // So many reads in a row continued no stream that nobody is likely to come back to one.
  bool AreLost() const { return jumps_ >= patience_; }

  // Nothing of what was asked for will come: whoever goes on all the same begins with a first window again.
  void StartOver();

 private:
  // After so many jumps in a row a handle is taken to be read at random, in pieces as long as those before.
  static constexpr int kJumpsOfRandomReader = 3;

  struct Stream {
    uint64_t start = 0;    // Where it began.
    uint64_t next = 0;     // Where the reader will go on.
    uint64_t ahead = 0;    // Up to here blocks have been asked for.
    uint64_t window = 0;   // Zero: not open yet.
    uint64_t grow_at = 0;  // Where what was asked for last begins.
    int reads = 1;
    // Since the window was last looked at.
    uint64_t measured_from = 0;
    TimePoint measured_at{};
    double rate = 0;  // Bytes a second before that.

    uint64_t run() const { return next - start; }
  };

  Stream* Find(ByteRange read);
  void NoteReturn();
  bool MayOpen(const Stream& stream) const;
  void Resize(Stream& stream, const ReaderState& state) const;
  void Grow(Stream& stream, TimePoint now) const;
  std::vector<ByteRange> TopUp(Stream& stream, const ReaderState& state) const;
  uint64_t RoundUp(uint64_t position) const;
  uint64_t PartOf(uint64_t window) const;

  const ReadStreamsOptions options_;
  std::vector<Stream> streams_;          // Last used first.
  int jumps_ = 0;                        // Streams that began since one was last seen to go on.
  int patience_ = kJumpsOfRandomReader;  // Jumps after which the streams are lost.
};

}  // namespace s3overlay
