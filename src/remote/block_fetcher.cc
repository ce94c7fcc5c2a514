// SPDX-License-Identifier: Apache-2.0
//
// The reader's side of the fetcher: what is near, joining flights, waiting. The parts' side is block_fetcher_parts.cc.
#include "remote/block_fetcher.h"

#include <algorithm>
#include <new>
#include <ranges>
#include <span>
#include <utility>

#include "remote/single_flight.h"

namespace s3overlay {
namespace {

// A part has to fit into the memory several times over, or demand reads would wait for each other.
uint64_t MaxPartBlocks(const BlockFetcherOptions& options, uint64_t block_size) {
  const uint64_t bytes = std::min(options.max_part, options.memory_limit / 8);
  return std::max<uint64_t>(1, bytes / block_size);
}

constexpr uint64_t kSpareBytes = uint64_t{64} << 20;

// Whether a flight that somebody else began failed for a reason that is no answer for this reader: its time was up, or
// its readers'. A prefetch tries less often than a reader would, so that its giving up says little.
bool IsItsOwnAffair(ErrorCode code, const Part& part) {
  if (code == ErrorCode::kTimedOut || code == ErrorCode::kCancelled || code == ErrorCode::kThrottled) return true;
  return part.is_prefetch() &&
         (code == ErrorCode::kUnavailable || code == ErrorCode::kBadResponse || code == ErrorCode::kSystem);
}

// What was read and lies on disk too need not stay for long.
uint64_t KeepRead(const BlockFetcherOptions& options, const BlockCache* cache) {
  return cache == nullptr ? options.memory_limit : options.memory_limit / 8;
}

}  // namespace

BlockFetcher::BlockFetcher(BlockFetcherOptions options, BlockCache* cache, const Clock& clock, Metrics& metrics)
    : options_(options),
      cache_(cache),
      block_size_(cache != nullptr ? cache->block_size() : options.block_size),
      max_part_blocks_(MaxPartBlocks(options_, block_size_)),
      clock_(clock),
      metrics_(metrics),
      buffers_(block_size_, std::min(options_.memory_limit / 8, kSpareBytes) / block_size_),
      memory_(std::max(options_.memory_limit, 2 * block_size_), KeepRead(options_, cache)),
      demand_pools_({.name = "fetch", .threads = options.demand_threads, .queue_limit = 4096}),
      prefetch_pools_({.name = "prefetch", .threads = options.prefetch_threads, .queue_limit = 1024}) {}

BlockFetcher::~BlockFetcher() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    for (const PartPtr& part : parts_) part->cancelled = true;
    memory_freed_.SignalAll();
  }
  prefetch_pools_.Stop();
  demand_pools_.Stop();
  // What never came to a thread: its flights and itself hold each other.
  std::set<PartPtr> left;
  {
    MutexLock lock(mu_);
    left = parts_;
  }
  for (const PartPtr& part : left) Finish(part, Error{ErrorCode::kCancelled, "stopping"});
}

Result<ByteChain> BlockFetcher::Read(const PinnedObjectPtr& object, ByteRange range, uint64_t fetch_through,
                                     const CallContext& context) {
  const Error would_block{ErrorCode::kWouldBlock, "the store has to be asked"};
  // Whoever comes again to wait takes everything then.
  if (!context.may_block && !IsNear(object, BlocksOf(range, block_size_))) return would_block;
  std::vector<Near> near = TakeWhatIsNear(object, range);
  std::vector<uint64_t> missing;
  for (const Near& piece : near) {
    if (!piece.bytes) missing.push_back(piece.index);
  }
  if (!missing.empty()) {
    if (!context.may_block) return would_block;
    if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
    const uint64_t last = BlockCount(std::min(fetch_through, object->id.size), block_size_);
    std::vector<Awaited> all = Join({object, missing, last, context});
    // The last one first: most of the others have come by then, and a thread that sleeps once wakes once.
    for (Awaited& awaited : all | std::views::reverse) {
      Near& piece = near[awaited.index - near.front().index];
      auto block = Await(object, std::move(awaited), context);
      if (!block) return block.error();
      piece.bytes = block->Subspan(piece.wanted.offset, piece.wanted.size);
    }
  }
  ByteChain chain;
  for (Near& piece : near) chain.Append(std::move(piece.bytes));
  return chain;
}

bool BlockFetcher::IsNear(const PinnedObjectPtr& object, BlockSpan blocks) const {
  std::vector<uint64_t> elsewhere;
  {
    MutexLock lock(mu_);
    for (uint64_t index = blocks.first; index < blocks.last; ++index) {
      if (!memory_.Contains({object, index})) elsewhere.push_back(index);
    }
  }
  if (cache_ == nullptr) return elsewhere.empty();
  return std::ranges::all_of(elsewhere, [&](uint64_t index) { return cache_->Contains(object->cache_id, index); });
}

std::vector<BlockFetcher::Near> BlockFetcher::TakeWhatIsNear(const PinnedObjectPtr& object, ByteRange range) {
  std::vector<Near> near;
  TakeFromMemory(object, range, near);
  if (cache_ == nullptr) return near;
  uint64_t from_cache = 0;
  for (Near& piece : near) {
    if (piece.bytes) continue;
    const auto buffer = buffers_.Take(piece.wanted.size);
    const std::span bytes(buffer.get(), piece.wanted.size);
    if (!cache_->Get(object->cache_id, piece.index, piece.wanted.offset, bytes)) continue;
    piece.bytes = {bytes, buffer};
    from_cache += bytes.size();
  }
  if (from_cache > 0) metrics_.Add(Metric::kReadCache, from_cache);
  return near;
}

void BlockFetcher::TakeFromMemory(const PinnedObjectPtr& object, ByteRange range, std::vector<Near>& near) {
  uint64_t unread = 0;
  const BlockSpan blocks = BlocksOf(range, block_size_);
  near.reserve(blocks.count());
  {
    MutexLock lock(mu_);
    for (uint64_t index = blocks.first; index < blocks.last; ++index) {
      const ByteRange in_file = Intersect({index * block_size_, block_size_}, range);
      Near& piece = near.emplace_back();
      piece.index = index;
      piece.wanted = {in_file.offset - index * block_size_, in_file.size};
      const BlockMemory::Taken found = memory_.Take({object, index});
      if (!found.block) continue;
      piece.bytes = found.block.Subspan(piece.wanted.offset, piece.wanted.size);
      unread += found.was_unread ? found.block.size() : 0;
    }
  }
  if (unread > 0) metrics_.Add(Metric::kPrefetchUsed, unread);
}

std::vector<BlockFetcher::Awaited> BlockFetcher::Join(const Wish& wish) {
  std::vector<Awaited> awaited;
  std::deque<PartPtr> parts;  // That nobody runs yet.
  try {
    {
      MutexLock lock(mu_);
      for (const uint64_t index : wish.missing) awaited.push_back(JoinOne({wish.object, index}));
      if (!stopping_) MakeParts(wish, awaited, parts);
    }
    for (; !parts.empty(); parts.pop_front()) Start(parts.front());
  } catch (const std::bad_alloc&) {
    // Or whoever came to wait for them would wait for ever.
    for (const PartPtr& part : parts) Finish(part, NoMemory());
    throw;
  }
  return awaited;
}

// With neither block nor flight where this reader has to start one.
BlockFetcher::Awaited BlockFetcher::JoinOne(const BlockKey& key) {
  // It may have landed since this reader looked.
  BlockMemory::Taken taken = memory_.Take(key);
  if (taken.was_unread) metrics_.Add(Metric::kPrefetchUsed, taken.block.size());
  if (taken.block) return {.index = key.index, .block = std::move(taken.block), .flight = nullptr};
  FlightPtr flight = FlightOf(key);
  if (!flight) return {.index = key.index, .block = {}, .flight = nullptr};
  Part& part = *flight->part;
  const uint64_t front = std::max(part.front.load(), part.blocks.first * block_size_);
  const uint64_t start = key.index * block_size_;
  if (start > front && start - front > options_.own_get_distance)
    return {.index = key.index, .block = {}, .flight = nullptr};
  if (part.is_prefetch() && !flight->wanted) metrics_.Add(Metric::kPrefetchUsed, BytesOf(*key.object, key.index).size);
  flight->wanted = true;
  part.wanted = true;
  return {.index = key.index, .block = {}, .flight = std::move(flight)};
}

// Null where nobody fetches the block, or whoever does has been called off and will hear of it in a moment.
FlightPtr BlockFetcher::FlightOf(const BlockKey& key) const {
  const auto found = flights_.find(key);
  return found == flights_.end() || found->second->part->cancelled ? nullptr : found->second;
}

// One part for each run of neighbours that nobody fetches (near enough).
void BlockFetcher::MakeParts(const Wish& wish, std::vector<Awaited>& awaited, std::deque<PartPtr>& parts) {
  const auto is_open = [](const Awaited& a) { return !a.block && !a.flight; };
  for (size_t i = 0; i < awaited.size();) {
    if (!is_open(awaited[i])) {
      ++i;
      continue;
    }
    BlockSpan run{awaited[i].index, awaited[i].index + 1};
    size_t end = i + 1;
    while (end < awaited.size() && is_open(awaited[end]) && awaited[end].index == run.last &&
           run.count() < max_part_blocks_) {
      ++run.last;
      ++end;
    }
    const uint64_t limit = std::min(wish.last, run.first + max_part_blocks_);
    if (end == awaited.size()) run.last = EndOfRun(wish.object, run.last, limit);
    const PartPtr part = std::make_shared<Part>(wish.object, run, wish.context.deadline);
    part->max_retries = wish.context.max_retries;
    parts.push_back(part);
    parts_.insert(part);
    for (uint64_t index = run.first; index < run.last; ++index) Enter(part, index);
    for (; i < end; ++i) {
      awaited[i].flight = part->flights[awaited[i].index - run.first];
      awaited[i].flight->wanted = true;
      awaited[i].is_own = true;
    }
  }
}

// How far a part that ends before block `last` may go on, at most to `limit`.
uint64_t BlockFetcher::EndOfRun(const PinnedObjectPtr& object, uint64_t last, uint64_t limit) const {
  for (; last < limit; ++last) {
    const BlockKey key{object, last};
    if (memory_.Contains(key) || FlightOf(key)) break;
    if (cache_ != nullptr && cache_->Contains(object->cache_id, last)) break;
  }
  return last;
}

void BlockFetcher::Enter(const PartPtr& part, uint64_t index) {
  FlightPtr flight = std::make_shared<BlockFlight>(part);
  part->flights[index - part->blocks.first] = flight;
  flights_.insert_or_assign(part->KeyOf(index), std::move(flight));
}

Result<SharedBytes> BlockFetcher::Await(const PinnedObjectPtr& object, Awaited awaited, const CallContext& context) {
  const std::vector<uint64_t> missing{awaited.index};
  while (true) {
    auto block = AwaitOnce(awaited, context);
    if (block || awaited.is_own || !awaited.flight) return block;
    if (!IsItsOwnAffair(block.error().code, *awaited.flight->part)) return block;
    if (EndOfPatience(context, clock_)) return block;
    // A flight that failed is out of the table, so the next one is this reader's own and its end the answer, unless
    // somebody began another first: this goes round until then, at the longest up to the reader's deadline.
    awaited = std::move(Join({object, missing, 0, context}).front());
  }
}

Result<SharedBytes> BlockFetcher::AwaitOnce(const Awaited& awaited, const CallContext& context) {
  if (awaited.block) return awaited.block;
  if (!awaited.flight) return Error{ErrorCode::kCancelled, "stopping"};
  BlockFlight& flight = *awaited.flight;
  MutexLock lock(mu_);
  while (!flight.is_over()) {
    if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
    flight.landed.WaitFor(mu_, kWaitSlice);
  }
  if (flight.block) return flight.block;
  return *flight.error;
}

uint64_t BlockFetcher::memory_used() const {
  MutexLock lock(mu_);
  return memory_.used();
}

}  // namespace s3overlay
