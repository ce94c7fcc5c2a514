// SPDX-License-Identifier: Apache-2.0
//
// ObjectStore: an S3-compatible store behind one endpoint, in the four verbs this house needs. s3/s3_store is the real
// one, tests have one in memory.
//
// Sources: S3 API reference, HeadObject, GetObject, ListObjectsV2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/byte_range.h"
#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/result.h"

namespace s3overlay {

// One version of one object: what a byte belongs to, and the key of the block cache.
struct ObjectId {
  std::string store;  // The endpoint's URL, normalised: the same key in two stores is two objects.
  std::string bucket;
  std::string key;   // Raw bytes, not URL-encoded.
  std::string etag;  // Without the surrounding quotes; weak ones keep their W/ prefix.
  uint64_t size = 0;
  std::string version_id;    // Empty where the store has no versions.
  WallTime last_modified{};  // Part of the identity only where the ETag is weak or empty.

  friend bool operator==(const ObjectId&, const ObjectId&) = default;
};

// True where If-Match can pin the object; else Last-Modified and the size must do.
bool HasStrongEtag(const ObjectId& object);

// What the store says of an object.
struct ObjectMetadata {
  ObjectId id;
  WallTime last_modified{};
  std::string storage_class;  // Empty means STANDARD.
  bool archived = false;      // Must be restored before it can be read (GLACIER, DEEP_ARCHIVE; not restored).
};

struct ListRequest {
  std::string bucket;
  std::string prefix;
  std::string delimiter;           // "/" or empty.
  std::string continuation_token;  // Opaque, from the page before.
  std::string start_after;
  int max_keys = 1000;
};

struct ListPage {
  std::vector<ObjectMetadata> objects;       // In the store's order (UTF-8 byte order of keys).
  std::vector<std::string> common_prefixes;  // Each with the delimiter at its end.
  bool truncated = false;
  std::string next_token;  // Never empty when truncated.
};

// Receives the bytes of one GET in order. `offset` is the position in the object. Returning an error ends the transfer
// and becomes the result of the call.
using ByteSink = std::function<Result<void>(uint64_t offset, std::span<const std::byte> bytes)>;

// Thread-safe. Every call blocks, ends by context.deadline, retries by itself (s3/retry_policy) and fails with
//   kNotFound       Head: the store itself says that the key is not there. Of List that is an empty page.
//   kVersionGone    GetRange: the object is no longer the one pinned, or no longer there
//   kDenied, kCredentials, kMisconfigured, kThrottled, kTimedOut, kUnavailable, kBadResponse, kArchived, kCancelled
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<ObjectMetadata> Head(const std::string& bucket, const std::string& key,
                                      const CallContext& context) = 0;

  virtual Result<ListPage> List(const ListRequest& request, const CallContext& context) = 0;

  // Streams `range` of the pinned object into `sink`. Success means that every byte of the range was delivered, once
  // and in order; after an error a prefix of it may have been, and those bytes are right. kInvalidArgument where
  // `range` is empty or does not lie inside the object.
  virtual Result<void> GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                                const CallContext& context) = 0;

  // The endpoint's URL as it stands in ObjectId::store.
  virtual std::string url() const = 0;

  // Taken to be away just now: a call would fail at once. Answers from memory.
  virtual bool IsAway() const = 0;
};

}  // namespace s3overlay
