// SPDX-License-Identifier: Apache-2.0
#include "remote/read_streams.h"

#include <algorithm>
#include <chrono>

namespace s3overlay {
namespace {

// The kernel sends several reads of one reader at once, and they come in any order. That many reads may overtake one.
constexpr uint64_t kOvertaking = 2;
constexpr uint64_t kOvertaken = 4;

constexpr uint64_t kPartsOfWindow = 16;

constexpr double kGain = 1.15;     // Less is noise.
constexpr uint64_t kPatience = 8;  // Windows until a window that was large enough is tried larger again.

}  // namespace

std::optional<std::vector<ByteRange>> ReadStreams::Continue(ByteRange read, const ReaderState& state) {
  Stream* const stream = Find(read);
  if (stream == nullptr) return std::nullopt;
  ++stream->reads;
  stream->next = read.end();
  stream->ahead = std::max(stream->ahead, RoundUp(stream->next));
  if (stream->window == 0 && !MayOpen(*stream)) return std::vector<ByteRange>();
  Resize(*stream, state);
  return TopUp(*stream, state);
}

// The stream that this read continues, now the first in the list.
ReadStreams::Stream* ReadStreams::Find(ByteRange read) {
  const auto found = std::ranges::find_if(streams_, [&](const Stream& stream) {
    return read.offset >= stream.next && read.offset - stream.next <= kOvertaking * read.size;
  });
  if (found == streams_.end()) return nullptr;
  // Whoever comes back to a stream reads several side by side, and not at random.
  if (found != streams_.begin() || found->run() >= options_.first_window) NoteReturn();
  std::rotate(streams_.begin(), found, found + 1);
  return &streams_.front();
}

// Where the streams were given up too early, it takes more to do it again: a reader who walks beside others that jump
// would else lose what was fetched for it each time.
void ReadStreams::NoteReturn() {
  if (AreLost()) patience_ = std::min(2 * patience_, static_cast<int>(options_.max_streams));
  jumps_ = 0;
}

// A large read at random comes as several in a row: its end is not the beginning of a walk.
bool ReadStreams::MayOpen(const Stream& stream) const {
  if (stream.reads < options_.opens_at) return false;
  if (jumps_ < kJumpsOfRandomReader) return true;
  return std::all_of(streams_.begin() + 1, streams_.end(),
                     [&](const Stream& other) { return stream.run() > other.run(); });
}

bool ReadStreams::IsLate(ByteRange read, bool established) const {
  return std::ranges::any_of(streams_, [&](const Stream& stream) {
    return (!established || stream.window > 0) && read.end() <= stream.next &&
           stream.next - read.offset <= kOvertaken * read.size;
  });
}

void ReadStreams::Start(ByteRange read) {
  if (streams_.size() == options_.max_streams) streams_.pop_back();
  ++jumps_;
  streams_.insert(streams_.begin(), {.start = read.offset, .next = read.end(), .ahead = RoundUp(read.end())});
}

void ReadStreams::Resize(Stream& stream, const ReaderState& state) const {
  if (stream.window == 0) {
    stream.window = options_.first_window;
    stream.grow_at = stream.ahead;
    stream.measured_from = stream.next;
    stream.measured_at = state.now;
  } else if (state.waits && stream.next >= stream.grow_at) {
    Grow(stream, state.now);
  }
}

void ReadStreams::Grow(Stream& stream, TimePoint now) const {
  const double seconds = std::chrono::duration<double>(std::max(now - stream.measured_at, Duration(1))).count();
  const double rate = static_cast<double>(stream.next - stream.measured_from) / seconds;
  // What was read since the window opened is too little to measure by.
  const bool is_first = stream.next - stream.measured_from < options_.first_window / 2;
  const bool was_worth_it = is_first || rate > kGain * stream.rate;
  if (was_worth_it) stream.window = std::min(2 * stream.window, options_.max_window);
  stream.grow_at = was_worth_it ? stream.ahead : stream.next + kPatience * stream.window;
  stream.rate = is_first ? 0 : std::max(rate, stream.rate);
  stream.measured_from = stream.next;
  stream.measured_at = now;
}

std::vector<ByteRange> ReadStreams::TopUp(Stream& stream, const ReaderState& state) const {
  const auto open =
      static_cast<uint64_t>(std::ranges::count_if(streams_, [](const Stream& s) { return s.window > 0; }));
  const uint64_t window = std::min(stream.window, state.allowance / open);
  const uint64_t target = std::min(RoundUp(stream.next + window), options_.file_size);
  const uint64_t part = PartOf(window);
  std::vector<ByteRange> ranges;
  // Block by block would make small requests: wait until there is room for a part.
  while (stream.ahead < target && (target - stream.ahead >= part || target == options_.file_size)) {
    ranges.push_back({stream.ahead, std::min(RoundUp(stream.ahead + part), target) - stream.ahead});
    stream.ahead = ranges.back().end();
  }
  return ranges;
}

void ReadStreams::OnRefused(ByteRange range) {
  for (Stream& stream : streams_) {
    if (stream.next > range.offset || stream.ahead <= range.offset) continue;
    stream.ahead = range.offset;
    stream.window = std::max(options_.min_part, stream.window / 2);
    stream.grow_at = stream.ahead;
  }
}

void ReadStreams::SkipTo(uint64_t position) {
  for (Stream& stream : streams_) stream.ahead = std::max(stream.ahead, position);
}

void ReadStreams::StartOver() {
  for (Stream& stream : streams_) {
    stream.ahead = RoundUp(stream.next);
    stream.window = 0;
    stream.rate = 0;
  }
}

uint64_t ReadStreams::RoundUp(uint64_t position) const {
  if (position <= options_.phase) return std::min(options_.phase, options_.file_size);
  const uint64_t blocks = BlockCount(position - options_.phase, options_.block_size);
  return std::min(options_.phase + blocks * options_.block_size, options_.file_size);
}

uint64_t ReadStreams::PartOf(uint64_t window) const {
  const uint64_t part = std::clamp(window / kPartsOfWindow, options_.min_part, options_.max_part);
  return std::max(part / options_.block_size * options_.block_size, options_.block_size);
}

}  // namespace s3overlay
