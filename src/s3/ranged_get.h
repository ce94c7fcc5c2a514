// SPDX-License-Identifier: Apache-2.0
//
// RangedGet: one GetRange on its way: what was delivered, and the checks that stand before the sink.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "s3/failure.h"
#include "s3/signed_sender.h"
#include "s3/version_memory.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/call_context.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/metrics.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

// Used by one thread. Everything given to it outlives it.
class RangedGet {
 public:
  RangedGet(const ObjectId& object, ByteRange range, const ByteSink& sink, VersionMemory& versions, Metrics& metrics);

  // One attempt at what is still missing, from the first byte that was not delivered on: as the current object, and by
  // its id where one is known; or the other way round where it was not the current one any more.
  std::optional<Failure> Try(SignedSender& sender, int attempt, const CallContext& context);

  // True once the store answered as a bucket does: with a part of an object, or that the key is missing.
  bool was_answered() const { return was_answered_; }
  const std::string& subject() const { return subject_; }

 private:
  std::optional<Failure> Ask(SignedSender& sender, int attempt, const CallContext& context);
  std::string KnownVersionId() const;
  StoreRequest MakeRequest() const;
  Result<void> TakeHeaders(const HttpResponse& response);
  Result<void> TakeBody(std::span<const std::byte> bytes);
  std::optional<Failure> Judge(std::optional<Failure> failure);

  const ObjectId& object_;
  const ByteSink& sink_;
  VersionMemory& versions_;
  Metrics& metrics_;
  const std::string subject_;
  std::string version_id_;  // Asked for; empty: whatever is current, if it is the pinned one.

  ByteRange missing_;  // Shrinks from the front as bytes are delivered.
  bool sink_failed_ = false;
  bool overlong_ = false;
  bool was_answered_ = false;
};

}  // namespace s3overlay::s3
