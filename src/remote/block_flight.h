// SPDX-License-Identifier: Apache-2.0
//
// What is under way: a BlockFlight for each block that is being fetched, and the Part (one run of neighbouring blocks)
// that fetches it. Plain structures; the fetcher's lock guards what is not atomic or constant.
#pragma once

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "remote/block_memory.h"
#include "remote/pinned_object.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Set when what was asked for with it is not wanted any more: the handle is gone, or jumps about by now. One owner has
// one at a time.
using PrefetchToken = std::shared_ptr<std::atomic<bool>>;

struct Part;

// Short enough to take no memory.
inline Error NoMemory() { return {.code = ErrorCode::kSystem, .message = "no memory", .sys_errno = ENOMEM}; }

struct BlockFlight {
  explicit BlockFlight(std::shared_ptr<Part> its_part) : part(std::move(its_part)) {}

  const std::shared_ptr<Part> part;
  CondVar landed;
  SharedBytes block;           // Set at success.
  std::optional<Error> error;  // Set at failure.
  bool wanted = false;         // Some reader waits or waited for it.

  bool is_over() const { return block || error.has_value(); }
};
using FlightPtr = std::shared_ptr<BlockFlight>;

struct Part {
  Part(PinnedObjectPtr its_object, BlockSpan its_blocks, Deadline until)
      : object(std::move(its_object)), blocks(its_blocks), deadline(until), flights(its_blocks.count()) {}

  const PinnedObjectPtr object;
  const BlockSpan blocks;
  const Deadline deadline;
  int max_retries = 0;  // Constant once it starts.
  PrefetchToken token;  // Null: on demand. Constant once it starts.
  std::atomic<bool> cancelled{false};
  std::atomic<bool> wanted{false};  // Of a prefetch: some reader waits for one of its blocks.
  std::atomic<uint64_t> front{0};   // Position in the object of the next byte to come.
  std::vector<FlightPtr> flights;   // By position in `blocks`; null where the block is not fetched by this part.
  uint64_t reserved = 0;            // Bytes of the budget that have not become blocks yet.

  bool is_prefetch() const { return token != nullptr; }
  bool is_abandoned() const { return is_prefetch() && token->load() && !wanted.load(); }
  BlockKey KeyOf(uint64_t index) const { return {.object = object, .index = index}; }
  // A flight keeps its part and a part its flights, until this.
  void LetGo() { flights.clear(); }
};
using PartPtr = std::shared_ptr<Part>;

}  // namespace s3overlay
