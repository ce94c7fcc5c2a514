// SPDX-License-Identifier: Apache-2.0
#include "remote/readahead.h"

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

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
  const uint64_t tail_begin = options_.file_size - std::min(options_.file_size, options_.tail);
  if (is_first && read.offset > tail_begin) advice.prefetch.push_back({tail_begin, options_.file_size - tail_begin});
  return advice;
}

ReadaheadAdvice Readahead::OnJump(ByteRange read) {
  ReadaheadAdvice advice{.fetch_through = read.end(), .prefetch = strides_.OnRead(read)};
  forward_.Start(read);
  backward_.Start(Mirror(read));
  if (read.offset == 0 && options_.file_size <= options_.small_file) {
    advice.fetch_through = options_.file_size;
    forward_.SkipTo(options_.file_size);
  }
  return advice;
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
