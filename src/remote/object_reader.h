// SPDX-License-Identifier: Apache-2.0
//
// ObjectReader: one open object. Turns ranges into blocks, tells readahead what was asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "remote/block_fetcher.h"
#include "remote/pinned_object.h"
#include "remote/readahead.h"
#include "s3overlay/block_cache.h"
#include "s3overlay/file_source.h"
#include "s3overlay/mutex.h"
#include "s3overlay/object_catalog.h"

namespace s3overlay {

// What an ObjectReader uses; all of it outlives the reader.
struct ObjectReaderTools {
  ObjectCatalog& catalog;
  BlockFetcher& fetcher;
  BlockCache* cache;  // May be null.
  const Clock& clock;
  int lane = 0;
  int max_retries = 5;
};

// Thread-safe. Stays with the version it was made for: the store is asked with its ETag, and a version that is gone is
// told to the catalog, so that the next lookup asks.
class ObjectReader final : public OpenFile {
 public:
  ObjectReader(Entry entry, PinnedObjectPtr object, const ObjectReaderTools& tools);
  ~ObjectReader() override;

  Result<size_t> Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) override;
  Result<ByteChain> Borrow(uint64_t offset, size_t size, const CallContext& context) override;
  Result<Entry> GetEntry() const override { return entry_; }
  std::shared_ptr<BackingFile> GetBackingFile() override;

 private:
  Result<ByteChain> ReadNear(ByteRange range, const CallContext& context);
  Result<ByteChain> ReadAny(ByteRange range, const CallContext& context);
  struct Advised {
    ReadaheadAdvice advice;
    PrefetchToken token;      // For what it names.
    PrefetchToken abandoned;  // Null: what was advised before is still wanted.
  };
  Advised Advise(ByteRange range, bool waits) S3OVERLAY_EXCLUDES(mu_);
  uint64_t LookAhead(ByteRange range, bool waits) S3OVERLAY_EXCLUDES(mu_);
  Error Explain(Error error) const;

  const Entry entry_;
  const PinnedObjectPtr object_;
  const ObjectReaderTools tools_;

  Mutex mu_;
  PrefetchToken token_ S3OVERLAY_GUARDED_BY(mu_);  // Of what is fetched ahead for the pattern of now.
  Readahead readahead_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
