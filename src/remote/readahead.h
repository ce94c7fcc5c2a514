// SPDX-License-Identifier: Apache-2.0
//
// Readahead: which bytes of a file will be asked for next. A pure state machine, told of every read of one handle.
//
// Known ways to read: forward and backward, several readers side by side (columns, shards), strides, and formats that
// are read from their end (the footer of a parquet file, the directory of a zip archive). A read that fits none of them
// fetches nothing but itself, and after a few of these in a row nothing is wanted of what was fetched ahead before.
#pragma once

#include <cstdint>
#include <vector>

#include "remote/read_streams.h"
#include "remote/read_strides.h"
#include "s3overlay/byte_range.h"

namespace s3overlay {

struct ReadaheadOptions {
  uint64_t file_size = 0;
  uint64_t block_size = 128 << 10;
  uint64_t first_window = 16 << 20;  // See ReadStreamsOptions.
  uint64_t max_window = 256 << 20;
  uint64_t small_file = 1 << 20;  // A file up to this size is fetched whole when it is read from its start.
  uint64_t tail = 512 << 10;      // Fetched when a handle's first read is at the end of the file.
};

struct ReadaheadAdvice {
  uint64_t fetch_through = 0;       // The read's own GET may go on to here; its end where nothing is gained.
  std::vector<ByteRange> prefetch;  // In the order in which they will be wanted; each byte is answered once.
  // The reader jumps about by now: what earlier advice named and has not come is to stop, and may be named again.
  bool turned_random = false;
};

// Not thread-safe.
class Readahead {
 public:
  explicit Readahead(const ReadaheadOptions& options);

  // `read` lies inside the file and is not empty.
  ReadaheadAdvice OnRead(ByteRange read, const ReaderState& state = {});

  // Nobody will fetch `range` of an earlier advice.
  void OnRefused(ByteRange range);

 private:
  ReadaheadAdvice Advise(ByteRange read, const ReaderState& state);
  ReadaheadAdvice OnJump(ByteRange read);
  bool TurnRandom();
  void FetchTail(ByteRange read, bool waits, ReadaheadAdvice& advice);
  ByteRange Mirror(ByteRange range) const;
  std::vector<ByteRange> Mirror(std::vector<ByteRange> ranges) const;

  const ReadaheadOptions options_;
  ReadStreams forward_;
  ReadStreams backward_;  // In a mirrored file.
  ReadStrides strides_;
  bool is_first_ = true;
  bool has_advised_ = false;  // Prefetching, since it last turned random.
  int misfits_ = -1;          // Jumps since one was last seen that is part of a stride; a handle's first read is none.
};

}  // namespace s3overlay
