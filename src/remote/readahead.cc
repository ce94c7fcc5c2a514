// SPDX-License-Identifier: Apache-2.0
#include "remote/readahead.h"

#include <algorithm>

namespace s3overlay {

namespace {

// The kernel sends several reads of one reader at once, and they come in any order. That many reads may overtake one.
constexpr uint64_t kOvertaking = 2;
constexpr uint64_t kOvertaken = 4;

}  // namespace

ReadaheadAdvice Readahead::OnRead(ByteRange read) {
  ReadaheadAdvice advice{.fetch_through = read.end(), .prefetch = {}};
  if (Stream* const stream = FindStream(read)) {
    advice.prefetch = Advance(*stream, read);
  } else if (!IsLate(read)) {
    StartStream(read);
    if (read.offset == 0 && options_.file_size <= options_.small_file) {
      advice.fetch_through = options_.file_size;
      streams_.front().ahead = options_.file_size;
    }
  }
  return advice;
}

// The stream that this read continues, now the first in the list.
Readahead::Stream* Readahead::FindStream(ByteRange read) {
  const auto found = std::ranges::find_if(streams_, [&](const Stream& stream) {
    return read.offset >= stream.next && read.offset - stream.next <= kOvertaking * read.size;
  });
  if (found == streams_.end()) return nullptr;
  std::rotate(streams_.begin(), found, found + 1);
  return &streams_.front();
}

// A read that others of its stream have overtaken says nothing new.
bool Readahead::IsLate(ByteRange read) const {
  return std::ranges::any_of(streams_, [&](const Stream& stream) {
    return read.end() <= stream.next && stream.next - read.offset <= kOvertaken * read.size;
  });
}

void Readahead::StartStream(ByteRange read) {
  if (streams_.size() == options_.max_streams) streams_.pop_back();
  streams_.insert(streams_.begin(), {.next = read.end(), .ahead = RoundUp(read.end()), .window = 0});
}

std::vector<ByteRange> Readahead::Advance(Stream& stream, ByteRange read) {
  stream.next = read.end();
  stream.ahead = std::max(stream.ahead, RoundUp(stream.next));
  const uint64_t window = stream.window == 0 ? options_.part : stream.window;
  const uint64_t target = std::min(RoundUp(stream.next + window), options_.file_size);
  // Topping up block by block would make small requests: wait until half of the window has been taken.
  const bool is_worth_it = stream.ahead - stream.next <= window / 2 || target == options_.file_size;
  std::vector<ByteRange> ranges;
  if (stream.ahead >= target || !is_worth_it) return ranges;
  for (; stream.ahead < target; stream.ahead = ranges.back().end()) {
    ranges.push_back({stream.ahead, std::min(options_.part, target - stream.ahead)});
  }
  stream.window = std::min(2 * window, options_.max_window);
  return ranges;
}

uint64_t Readahead::RoundUp(uint64_t position) const {
  return std::min(BlockCount(position, options_.block_size) * options_.block_size, options_.file_size);
}

}  // namespace s3overlay
