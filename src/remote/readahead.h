// SPDX-License-Identifier: Apache-2.0
//
// Readahead: which bytes of a file will be asked for next. A pure state machine, told of every read of one handle.
//
// The window opens at the second read in a row: doubling from one block would cost ten round trips before the network
// is busy. Several streams a handle are told apart, since readers of columns and shards jump between a few positions;
// a read that continues none starts one and prefetches nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "s3overlay/byte_range.h"

namespace s3overlay {

struct ReadaheadOptions {
  uint64_t file_size = 0;
  uint64_t block_size = 128 << 10;
  uint64_t part = 8 << 20;         // Bytes of one range that is answered; also the first window.
  uint64_t max_window = 32 << 20;  // Bytes ahead of a reader. Larger: more memory a handle, for faster networks.
  uint64_t small_file = 1 << 20;   // A file up to this size is fetched whole when it is read from its start.
  size_t max_streams = 8;
};

struct ReadaheadAdvice {
  uint64_t fetch_through = 0;       // The read's own GET may go on to here; its end where nothing is gained.
  std::vector<ByteRange> prefetch;  // Whole blocks, ascending; each range is answered once.
};

// Not thread-safe.
class Readahead {
 public:
  explicit Readahead(ReadaheadOptions options) : options_(options) {}

  // `read` lies inside the file and is not empty.
  ReadaheadAdvice OnRead(ByteRange read);

 private:
  struct Stream {
    uint64_t next = 0;   // Where the reader will go on.
    uint64_t ahead = 0;  // Up to here blocks have been asked for.
    uint64_t window = 0;
  };

  Stream* FindStream(ByteRange read);
  bool IsLate(ByteRange read) const;
  void StartStream(ByteRange read);
  std::vector<ByteRange> Advance(Stream& stream, ByteRange read);
  uint64_t RoundUp(uint64_t position) const;

  const ReadaheadOptions options_;
  std::vector<Stream> streams_;  // Last used first.
};

}  // namespace s3overlay
