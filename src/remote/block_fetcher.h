// SPDX-License-Identifier: Apache-2.0
//
// BlockFetcher: gets blocks of objects, each once however many ask: from memory, from the block cache, from the store.
//
// A run of missing blocks becomes one GET (a part). Parts run on the fetcher's own threads, never on a waiter's, and
// their blocks complete one by one as bytes arrive: a waiter wakes at its block, not at the end of the part. Failures
// go to whoever waits and are never remembered. A waiter leaves at its own deadline or cancellation; the flight goes on
// for the others. Prefetch asks for later blocks and does not wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "remote/block_buffers.h"
#include "remote/block_flight.h"
#include "remote/block_memory.h"
#include "remote/pinned_object.h"
#include "remote/prefetch_ledger.h"
#include "remote/store_pools.h"
#include "s3overlay/block_cache.h"
#include "s3overlay/byte_chain.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/metrics.h"
#include "s3overlay/mutex.h"
#include "s3overlay/result.h"
#include "s3overlay/shared_bytes.h"

namespace s3overlay {

struct BlockFetcherOptions {
  uint64_t memory_limit = uint64_t{512} << 20;  // Bytes in flight and kept, of all files together.
  uint64_t block_size = 128 << 10;              // Without a cache; else the cache's own.
  uint64_t max_part = 8 << 20;                  // Bytes of one GET. Larger: fewer requests, coarser memory.
  size_t demand_threads = 16;                   // GETs that readers wait for, at a time, of each store.
  size_t prefetch_threads = 32;                 // GETs ahead of readers, likewise. More: for distant stores.
  // A block that far ahead of a part's front is worth a GET of its own: about 20 ms at 100 MB/s.
  uint64_t own_get_distance = 2 << 20;
  Duration prefetch_timeout = std::chrono::seconds(30);
  int prefetch_retries = 2;  // A reader who comes to the block asks again anyway.
};

// Thread-safe. Cache, clock and metrics outlive it, and so do the stores of the objects it is asked for. The destructor
// cancels what is under way and joins its threads; calls have ended by then.
class BlockFetcher {
 public:
  // `cache` may be null.
  BlockFetcher(BlockFetcherOptions options, BlockCache* cache, const Clock& clock, Metrics& metrics);
  ~BlockFetcher();
  BlockFetcher(const BlockFetcher&) = delete;
  BlockFetcher& operator=(const BlockFetcher&) = delete;

  uint64_t block_size() const { return block_size_; }

  // All the bytes of `range`, which lies inside the object. `fetch_through`: a GET that has to be made anyway may as
  // well go on to this position. kWouldBlock (lane 0) where a byte is not near and the caller may not wait; the store's
  // errors; kTimedOut, kCancelled.
  Result<ByteChain> Read(const PinnedObjectPtr& object, ByteRange range, uint64_t fetch_through,
                         const CallContext& context) S3OVERLAY_EXCLUDES(mu_);

  // Fetches the blocks of `range` when a thread is to spare. Answers up to where that will happen: memory is set aside
  // now, and where there is none left, or too many wait already, the rest is forgotten.
  uint64_t Prefetch(const PinnedObjectPtr& object, ByteRange range, const PrefetchToken& token) S3OVERLAY_EXCLUDES(mu_);

  // Bytes that each of those who prefetch may have ahead of its readers at the moment.
  uint64_t GetPrefetchShare() const S3OVERLAY_EXCLUDES(mu_);

  // What is to be prefetched with that token and nobody waits for stops, and is not begun; what has come gives its
  // memory up first.
  void Abandon(const PrefetchToken& token) S3OVERLAY_EXCLUDES(mu_);

  uint64_t memory_used() const S3OVERLAY_EXCLUDES(mu_);

  // Parts that wait for a thread.
  std::vector<QueueLength> GetQueues() const { return {demand_pools_.GetQueue(), prefetch_pools_.GetQueue()}; }

 private:
  // A block that a reader waits for: already here, or in flight.
  struct Awaited {
    uint64_t index = 0;
    SharedBytes block;
    FlightPtr flight;
    bool is_own = false;  // This reader started it.
  };
  // What a read wants of one block, and where it is; no bytes where it has yet to come.
  struct Near {
    uint64_t index = 0;
    ByteRange wanted;  // In the block.
    SharedBytes bytes;
  };
  struct Wish {
    const PinnedObjectPtr& object;
    const std::vector<uint64_t>& missing;  // Ascending.
    uint64_t last;                         // One past the last block that may be fetched along with them.
    const CallContext& context;
  };

  // The read's steps.
  bool IsNear(const PinnedObjectPtr& object, BlockSpan blocks) const S3OVERLAY_EXCLUDES(mu_);
  std::vector<Near> TakeWhatIsNear(const PinnedObjectPtr& object, ByteRange range) S3OVERLAY_EXCLUDES(mu_);
  void TakeFromMemory(const PinnedObjectPtr& object, ByteRange range, std::vector<Near>& near) S3OVERLAY_EXCLUDES(mu_);
  std::vector<Awaited> Join(const Wish& wish) S3OVERLAY_EXCLUDES(mu_);
  Awaited JoinOne(const BlockKey& key) S3OVERLAY_REQUIRES(mu_);
  FlightPtr FlightOf(const BlockKey& key) const S3OVERLAY_REQUIRES(mu_);
  void MakeParts(const Wish& wish, std::vector<Awaited>& awaited, std::deque<PartPtr>& parts) S3OVERLAY_REQUIRES(mu_);
  uint64_t EndOfRun(const PinnedObjectPtr& object, uint64_t last, uint64_t limit) const S3OVERLAY_REQUIRES(mu_);
  Result<SharedBytes> Await(const PinnedObjectPtr& object, Awaited awaited, const CallContext& context)
      S3OVERLAY_EXCLUDES(mu_);
  Result<SharedBytes> AwaitOnce(const Awaited& awaited, const CallContext& context) S3OVERLAY_EXCLUDES(mu_);

  // A part's life, on a thread of a pool.
  void Start(const PartPtr& part);
  bool Submit(StorePools& pools, const PartPtr& part);
  void Run(const PartPtr& part) S3OVERLAY_EXCLUDES(mu_);
  Result<void> Fetch(Part& part) S3OVERLAY_EXCLUDES(mu_);
  Result<void> ReserveDemand(Part& part) S3OVERLAY_EXCLUDES(mu_);
  bool Queue(const PartPtr& part) S3OVERLAY_EXCLUDES(mu_);
  bool SetAside(Part& part) S3OVERLAY_EXCLUDES(mu_);
  bool Admit(const PartPtr& part) S3OVERLAY_EXCLUDES(mu_);
  void GiveBack(Part& part) S3OVERLAY_EXCLUDES(mu_);
  void LandFromCache(Part& part) S3OVERLAY_EXCLUDES(mu_);
  BlockSpan NextRun(const Part& part, uint64_t from) const S3OVERLAY_EXCLUDES(mu_);
  Result<void> GetRun(Part& part, BlockSpan run) S3OVERLAY_EXCLUDES(mu_);
  bool Land(Part& part, uint64_t index, SharedBytes block) S3OVERLAY_EXCLUDES(mu_);
  void Finish(const PartPtr& part, const Result<void>& outcome) S3OVERLAY_EXCLUDES(mu_);

  void Enter(const PartPtr& part, uint64_t index) S3OVERLAY_REQUIRES(mu_);
  void LandFlight(const FlightPtr& flight, const SharedBytes& block) S3OVERLAY_REQUIRES(mu_);
  ByteRange BytesOf(const PinnedObject& object, uint64_t index) const;
  ByteRange BytesOf(const PinnedObject& object, BlockSpan run) const;

  const BlockFetcherOptions options_;
  BlockCache* const cache_;
  const uint64_t block_size_;
  const uint64_t max_part_blocks_;
  const Clock& clock_;
  Metrics& metrics_;
  BlockBuffers buffers_;

  mutable Mutex mu_;
  CondVar memory_freed_;
  BlockMemory memory_ S3OVERLAY_GUARDED_BY(mu_);
  PrefetchLedger prefetchers_ S3OVERLAY_GUARDED_BY(mu_);
  std::unordered_map<BlockKey, FlightPtr, BlockKeyHash> flights_ S3OVERLAY_GUARDED_BY(mu_);
  std::set<PartPtr> parts_ S3OVERLAY_GUARDED_BY(mu_);  // Running, or waiting for a thread on demand.
  bool stopping_ S3OVERLAY_GUARDED_BY(mu_) = false;

  // Last: their tasks use all the others.
  StorePools demand_pools_;
  StorePools prefetch_pools_;
};

}  // namespace s3overlay
