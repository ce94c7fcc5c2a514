// SPDX-License-Identifier: Apache-2.0
#include "remote/readahead.h"

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

constexpr int kMisfitsOfRandomReader = 3;
constexpr int kMisfitsOfNextRow = 3;  // Until a stride is known again that goes on elsewhere, as through a tile.

ReadStreamsOptions Forward(const ReadaheadOptions& options) {
  return {.file_size = options.file_size,
          .block_size = options.block_size,
          .first_window = options.first_window,
          .max_window = options.max_window};
}

ReadStreamsOptions Backward(const ReadaheadOptions& options) {
  ReadStreamsOptions backward = Forward(options);
  backward.phase = options.file_size % options.block_size;
  backward.opens_at = 3;
  return backward;
}

}  // namespace

Readahead::Readahead(const ReadaheadOptions& options)
    : options_(options), forward_(Forward(options)), backward_(Backward(options)), strides_(options.file_size) {}

ReadaheadAdvice Readahead::OnRead(ByteRange read, const ReaderState& state) {
  ReadaheadAdvice advice = Advise(read, state);
  if (!advice.prefetch.empty()) has_advised_ = true;
  return advice;
}

ReadaheadAdvice Readahead::Advise(ByteRange read, const ReaderState& state) {
  const bool is_first = std::exchange(is_first_, false);
  ReadaheadAdvice advice{.fetch_through = read.end(), .prefetch = {}};
  if (auto ahead = forward_.Continue(read, state)) {
    advice.prefetch = *std::move(ahead);
    return advice;
  }
  if (forward_.IsLate(read, true)) return advice;
  if (auto ahead = backward_.Continue(Mirror(read), state)) {
    advice.prefetch = Mirror(*std::move(ahead));
    return advice;
  }
  if (forward_.IsLate(read, false) || backward_.IsLate(Mirror(read), false)) return advice;
  advice = OnJump(read);
  if (is_first) FetchTail(read, state.waits, advice);
  return advice;
}

// The read's own GET begins with its block and goes on to the end; what lies before is another's. One GET of the whole
// tail would let the reader wait for half a megabyte that it has not asked for. A read that does not wait makes no GET.
void Readahead::FetchTail(ByteRange read, bool waits, ReadaheadAdvice& advice) {
  const uint64_t begin = options_.file_size - std::min(options_.file_size, options_.tail);
  if (read.offset <= begin) return;
  const uint64_t own_begin = read.offset / options_.block_size * options_.block_size;
  const uint64_t end = waits ? own_begin : options_.file_size;
  if (waits) advice.fetch_through = options_.file_size;
  if (begin < end) advice.prefetch.push_back({begin, end - begin});
  forward_.SkipTo(options_.file_size);
}

ReadaheadAdvice Readahead::OnJump(ByteRange read) {
  ReadaheadAdvice advice{.fetch_through = read.end(), .prefetch = strides_.OnRead(read)};
  forward_.Start(read);
  backward_.Start(Mirror(read));
  misfits_ = strides_.follows() ? -kMisfitsOfNextRow : misfits_ + 1;
  advice.turned_random = TurnRandom();
  if (read.offset == 0 && options_.file_size <= options_.small_file) {
    advice.fetch_through = options_.file_size;
    forward_.SkipTo(options_.file_size);
  }
  return advice;
}

// True once for all that was asked for before.
bool Readahead::TurnRandom() {
  if (!has_advised_ || misfits_ < kMisfitsOfRandomReader) return false;
  if (!forward_.AreLost() || !backward_.AreLost()) return false;
  forward_.StartOver();
  backward_.StartOver();
  has_advised_ = false;
  return true;
}

void Readahead::OnRefused(ByteRange range) {
  forward_.OnRefused(range);
  backward_.OnRefused(Mirror(range));
}

ByteRange Readahead::Mirror(ByteRange range) const { return {options_.file_size - range.end(), range.size}; }

std::vector<ByteRange> Readahead::Mirror(std::vector<ByteRange> ranges) const {
  for (ByteRange& range : ranges) range = Mirror(range);
  return ranges;
}

}  // namespace s3overlay
