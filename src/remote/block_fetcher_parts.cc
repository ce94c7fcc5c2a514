// SPDX-License-Identifier: Apache-2.0
//
// The parts' side of the fetcher: prefetch, and a part's life on a thread of a pool.
#include <algorithm>
#include <exception>
#include <new>
#include <span>
#include <utility>

#include "remote/block_assembler.h"
#include "remote/block_fetcher.h"
#include "remote/single_flight.h"

namespace s3overlay {

uint64_t BlockFetcher::Prefetch(const PinnedObjectPtr& object, ByteRange range, const PrefetchToken& token) {
  const BlockSpan blocks = BlocksOf(Intersect(range, {0, object->id.size}), block_size_);
  for (uint64_t first = blocks.first; first < blocks.last; first += max_part_blocks_) {
    const BlockSpan run{first, std::min(first + max_part_blocks_, blocks.last)};
    const auto part = std::make_shared<Part>(object, run, Deadline::After(clock_, options_.prefetch_timeout));
    part->max_retries = options_.prefetch_retries;
    part->token = token;
    if (!Queue(part)) return std::max(range.offset, first * block_size_);
  }
  return range.end();
}

bool BlockFetcher::Queue(const PartPtr& part) {
  if (IsNear(part->object, part->blocks)) return true;
  if (!SetAside(*part)) return false;
  if (Submit(prefetch_pools_, part)) return true;
  GiveBack(*part);
  return false;
}

// False also where there is no memory for a task: what is in the tables already needs an end all the same.
bool BlockFetcher::Submit(StorePools& pools, const PartPtr& part) {
  try {
    return pools.TrySubmit(part->object->store, [this, part] { Run(part); });
  } catch (const std::exception&) {
    return false;
  }
}

// The budget holds before anything is sent. Where it is used up, what was fetched for those that are silent goes.
bool BlockFetcher::SetAside(Part& part) {
  const uint64_t bytes = BytesOf(*part.object, part.blocks).size;
  const TimePoint now = clock_.Now();
  MutexLock lock(mu_);
  if (stopping_ || part.is_abandoned()) return false;  // Nobody would take such an owner out of the ledger again.
  prefetchers_.Note(part.token.get(), now);
  if (!memory_.ReservePrefetch(bytes)) {
    for (const void* idle : prefetchers_.TakeIdle(now)) memory_.Disown(idle);
    if (!memory_.ReservePrefetch(bytes)) return false;
  }
  part.reserved = bytes;
  return true;
}

void BlockFetcher::GiveBack(Part& part) {
  MutexLock lock(mu_);
  memory_.Release(std::exchange(part.reserved, 0), true);
  memory_freed_.SignalAll();
}

uint64_t BlockFetcher::GetPrefetchShare() const {
  const TimePoint now = clock_.Now();
  MutexLock lock(mu_);
  // Of bytes that come as blocks, each with its overhead: who keeps to its share is not refused.
  return prefetchers_.ShareOf(memory_.prefetch_limit() * block_size_ / (block_size_ + BlockMemory::kOverhead), now);
}

void BlockFetcher::Abandon(const PrefetchToken& token) {
  *token = true;
  MutexLock lock(mu_);
  // Also those of an owner that was silent for so long that the ledger has forgotten it.
  for (const PartPtr& part : parts_) {
    if (part->token == token && part->is_abandoned()) part->cancelled = true;
  }
  // Most files are small and had nothing fetched ahead for their handle.
  if (prefetchers_.Remove(token.get())) memory_.Disown(token.get());
}

// A queued prefetch enters the flight table only when it starts, with what is still missing then.
bool BlockFetcher::Admit(const PartPtr& part) {
  if (part->is_abandoned() || part->deadline.HasPassed(clock_)) return false;
  std::vector<uint64_t> missing;
  for (uint64_t index = part->blocks.first; index < part->blocks.last; ++index) {
    if (cache_ == nullptr || !cache_->Contains(part->object->cache_id, index)) missing.push_back(index);
  }
  MutexLock lock(mu_);
  std::erase_if(missing, [&](uint64_t index) S3OVERLAY_REQUIRES(mu_) {
    const BlockKey key = part->KeyOf(index);
    return memory_.Contains(key) || FlightOf(key);
  });
  uint64_t bytes = 0;
  for (const uint64_t index : missing) bytes += BytesOf(*part->object, index).size;
  if (missing.empty() || stopping_ || part->is_abandoned()) return false;
  memory_.Release(part->reserved - bytes, true);
  part->reserved = bytes;
  for (const uint64_t index : missing) Enter(part, index);
  parts_.insert(part);
  return true;
}

void BlockFetcher::Start(const PartPtr& part) {
  if (Submit(demand_pools_, part)) return;
  Finish(part, Error{ErrorCode::kUnavailable, "too many reads wait for the store"});
}

void BlockFetcher::Run(const PartPtr& part) {
  // Tasks must not throw, and whoever waits needs an answer.
  Result<void> outcome;
  try {
    if (!part->is_prefetch() || Admit(part)) outcome = Fetch(*part);
  } catch (const std::bad_alloc&) {
    outcome = NoMemory();
  } catch (const std::exception& problem) {
    outcome = Error{ErrorCode::kUnavailable, problem.what()};
  }
  Finish(part, outcome);
}

Result<void> BlockFetcher::Fetch(Part& part) {
  if (!part.is_prefetch()) {
    S3OVERLAY_RETURN_IF_ERROR(ReserveDemand(part));
    if (cache_ != nullptr) LandFromCache(part);
  }
  for (BlockSpan run = NextRun(part, part.blocks.first); run.count() > 0; run = NextRun(part, run.last)) {
    S3OVERLAY_RETURN_IF_ERROR(GetRun(part, run));
  }
  return {};
}

Result<void> BlockFetcher::ReserveDemand(Part& part) {
  const CallContext context{.deadline = part.deadline, .cancelled = &part.cancelled};
  const uint64_t bytes = BytesOf(*part.object, part.blocks).size;
  MutexLock lock(mu_);
  while (!memory_.ReserveDemand(bytes)) {
    if (auto end = EndOfPatience(context, clock_)) return *std::move(end);
    memory_freed_.WaitFor(mu_, kWaitSlice);
  }
  part.reserved = bytes;
  return {};
}

// The leader looks in the cache again: a flight that ended meanwhile has put its blocks there.
void BlockFetcher::LandFromCache(Part& part) {
  for (uint64_t index = part.blocks.first; index < part.blocks.last; ++index) {
    if (!cache_->Contains(part.object->cache_id, index)) continue;
    const uint64_t size = BytesOf(*part.object, index).size;
    const auto buffer = buffers_.Take(size);
    const std::span bytes(buffer.get(), size);
    if (cache_->Get(part.object->cache_id, index, 0, bytes)) Land(part, index, {bytes, buffer});
  }
}

// The next neighbours from block `from` on that have not landed; none: the part is done.
BlockSpan BlockFetcher::NextRun(const Part& part, uint64_t from) const {
  MutexLock lock(mu_);
  const auto is_missing = [&](uint64_t index) S3OVERLAY_REQUIRES(mu_) {
    const FlightPtr& flight = part.flights[index - part.blocks.first];
    return flight && !flight->is_over();
  };
  while (from < part.blocks.last && !is_missing(from)) ++from;
  uint64_t last = from;
  while (last < part.blocks.last && is_missing(last)) ++last;
  return {from, last};
}

Result<void> BlockFetcher::GetRun(Part& part, BlockSpan run) {
  const ByteRange range = BytesOf(*part.object, run);
  BlockAssembler assembler(range, block_size_, buffers_, [&](uint64_t index, const SharedBytes& block) {
    const bool is_news = Land(part, index, block);
    if (is_news && cache_ != nullptr) cache_->Put(part.object->cache_id, index, block);
  });
  const ByteSink sink = [&](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
    if (part.is_abandoned()) return Error{ErrorCode::kCancelled, "nobody wants it any more"};
    S3OVERLAY_RETURN_IF_ERROR(assembler.Add(offset, bytes));
    part.front = assembler.position();
    return {};
  };
  part.front = range.offset;
  const CallContext context{.deadline = part.deadline, .max_retries = part.max_retries, .cancelled = &part.cancelled};
  const Result<void> outcome = part.object->store.GetRange(part.object->id, range, sink, context);
  if (part.is_prefetch() && assembler.pending() > 0) {
    metrics_.Add(Metric::kPrefetched, assembler.pending());
    metrics_.Add(Metric::kPrefetchWasted, assembler.pending());
  }
  if (!outcome) return outcome;
  if (!assembler.is_complete()) return Error{ErrorCode::kBadResponse, "the store delivered fewer bytes than it said"};
  return {};
}

// A block has come; true if it is the first time. Its waiters wake, whichever part they wait for: the bytes are the
// same.
bool BlockFetcher::Land(Part& part, uint64_t index, SharedBytes block) {
  const BlockKey key = part.KeyOf(index);
  MutexLock lock(mu_);
  const FlightPtr own = part.flights[index - part.blocks.first];
  const bool is_news = !own->is_over();
  bool wanted = own->wanted;
  LandFlight(own, block);
  if (const auto found = flights_.find(key); found != flights_.end()) {
    wanted = wanted || found->second->wanted;
    LandFlight(found->second, block);
    flights_.erase(found);
  }
  if (part.is_prefetch()) metrics_.Add(Metric::kPrefetched, block.size());
  part.reserved -= block.size();
  // An unread block's owner is in the ledger: else nobody would disown it, and its share of the memory were lost.
  const void* const owner = prefetchers_.Has(part.token.get()) ? part.token.get() : nullptr;
  memory_.Keep(key, std::move(block),
               {.is_prefetch = part.is_prefetch(), .is_unread = part.is_prefetch() && !wanted, .owner = owner});
  metrics_.Add(Metric::kPrefetchWasted, memory_.TakeWasted());
  memory_freed_.SignalAll();
  return is_news;
}

void BlockFetcher::LandFlight(const FlightPtr& flight, const SharedBytes& block) {
  if (flight->is_over()) return;
  flight->block = block;
  flight->landed.SignalAll();
}

// What has not landed fails, and is forgotten.
void BlockFetcher::Finish(const PartPtr& part, const Result<void>& outcome) {
  MutexLock lock(mu_);
  for (uint64_t index = part->blocks.first; index < part->blocks.last && !outcome; ++index) {
    const FlightPtr& flight = part->flights[index - part->blocks.first];
    if (!flight || flight->is_over()) continue;
    try {
      flight->error = outcome.error();
    } catch (const std::bad_alloc&) {
      flight->error = NoMemory();  // Who waits needs an answer.
    }
    flight->landed.SignalAll();
    const auto found = flights_.find(part->KeyOf(index));
    if (found != flights_.end() && found->second == flight) flights_.erase(found);
  }
  memory_.Release(std::exchange(part->reserved, 0), part->is_prefetch());
  memory_freed_.SignalAll();
  parts_.erase(part);
  part->LetGo();
}

ByteRange BlockFetcher::BytesOf(const PinnedObject& object, uint64_t index) const {
  return BlockRange(index, block_size_, object.id.size);
}

ByteRange BlockFetcher::BytesOf(const PinnedObject& object, BlockSpan run) const {
  const uint64_t offset = run.first * block_size_;
  return {offset, std::min(run.last * block_size_, object.id.size) - offset};
}

}  // namespace s3overlay
