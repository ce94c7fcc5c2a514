// SPDX-License-Identifier: Apache-2.0
#include "remote/object_reader.h"

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

PrefetchToken MakeToken() { return std::make_shared<std::atomic<bool>>(false); }

}  // namespace

ObjectReader::ObjectReader(Entry entry, PinnedObjectPtr object, const ObjectReaderTools& tools)
    : entry_(std::move(entry)),
      object_(std::move(object)),
      tools_(tools),
      token_(MakeToken()),
      readahead_({.file_size = object_->id.size, .block_size = tools.fetcher.block_size()}) {}

ObjectReader::~ObjectReader() { tools_.fetcher.Abandon(token_); }

Result<size_t> ObjectReader::Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) {
  Result<ByteChain> chain = Borrow(offset, buffer.size(), context);
  if (!chain) return chain.error();
  chain->CopyTo(buffer);
  return chain->size();
}

Result<ByteChain> ObjectReader::Borrow(uint64_t offset, size_t size, const CallContext& context) {
  const ByteRange range = Intersect({offset, size}, {0, object_->id.size});
  if (range.empty()) return ByteChain();
  Result<ByteChain> chain = context.may_block ? ReadAny(range, context) : ReadNear(range, context);
  if (!chain) return Explain(chain.error());
  return chain;
}

// Readahead hears of each read once: of this one here only if it does not come again as one that may wait.
Result<ByteChain> ObjectReader::ReadNear(ByteRange range, const CallContext& context) {
  Result<ByteChain> chain = tools_.fetcher.Read(object_, range, range.end(), context);
  if (chain) LookAhead(range, false);
  return chain;
}

Result<ByteChain> ObjectReader::ReadAny(ByteRange range, const CallContext& context) {
  CallContext limited = context;
  limited.max_retries = std::min(context.max_retries, tools_.max_retries);
  // First, so that what comes next is under way while this read waits.
  const uint64_t fetch_through = LookAhead(range, true);
  return tools_.fetcher.Read(object_, range, fetch_through, limited);
}

ObjectReader::Advised ObjectReader::Advise(ByteRange range, bool waits) {
  const uint64_t share = tools_.fetcher.GetPrefetchShare();
  MutexLock lock(mu_);
  Advised advised;
  advised.advice = readahead_.OnRead(range, {.waits = waits, .allowance = share, .now = tools_.clock.Now()});
  if (advised.advice.turned_random) advised.abandoned = std::exchange(token_, MakeToken());
  advised.token = token_;
  return advised;
}

// Answers how far this read's own GET may go on.
uint64_t ObjectReader::LookAhead(ByteRange range, bool waits) {
  const auto [advice, token, abandoned] = Advise(range, waits);
  if (abandoned) tools_.fetcher.Abandon(abandoned);
  for (const ByteRange& ahead : advice.prefetch) {
    const uint64_t taken_to = tools_.fetcher.Prefetch(object_, ahead, token);
    if (taken_to == ahead.end()) continue;
    MutexLock lock(mu_);
    readahead_.OnRefused({taken_to, ahead.end() - taken_to});
    break;
  }
  return advice.fetch_through;
}

Error ObjectReader::Explain(Error error) const {
  if (error.code == ErrorCode::kVersionGone) tools_.catalog.Forget(entry_.path);
  if (error.code == ErrorCode::kWouldBlock) error.lane = tools_.lane;
  return error;
}

std::shared_ptr<BackingFile> ObjectReader::GetBackingFile() {
  return tools_.cache == nullptr ? nullptr : tools_.cache->OpenComplete(object_->cache_id);
}

}  // namespace s3overlay
