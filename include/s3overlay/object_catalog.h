// SPDX-License-Identifier: Apache-2.0
//
// ObjectCatalog: which object is at which path. A key mapping over a bucket's listing is one (remote/key_catalog); a
// manifest is another. remote/object_source turns either into files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"

namespace s3overlay {

// An object or a directory at a path.
struct CatalogEntry {
  std::string name;                      // Last component of the path; empty for the root.
  std::optional<ObjectMetadata> object;  // Nothing: a directory.
  TimePoint learned_at{};                // When the store said so; may be long ago in LastKnown.
  bool is_directory() const { return !object.has_value(); }
};

struct CatalogListing {
  std::vector<CatalogEntry> entries;  // Sorted by name, complete.
  TimePoint learned_at{};
};

// Thread-safe. Paths are as in FileSource. Find and List answer kNotFound only with proof, an outage code when the
// store could not be asked, kWouldBlock when they would have to ask and context.may_block is false.
class ObjectCatalog {
 public:
  virtual ~ObjectCatalog() = default;

  virtual Result<CatalogEntry> Find(std::string_view path, const CallContext& context) = 0;
  virtual Result<std::shared_ptr<const CatalogListing>> List(std::string_view path, const CallContext& context) = 0;

  // However old, without asking anyone.
  virtual std::optional<CatalogEntry> LastKnown(std::string_view path) const = 0;
  virtual std::shared_ptr<const CatalogListing> LastKnownListing(std::string_view path) const = 0;

  // When the store last told what Find says of a path, absence included; nothing where it never did.
  virtual std::optional<TimePoint> LearnedAt(std::string_view) const { return std::nullopt; }

  // Told by a reader that the store no longer has this version: forget it, so that the next Find asks.
  virtual void Forget(std::string_view path) = 0;

  // "s3://bucket/key" of a path, for people.
  virtual std::string Describe(std::string_view path) const = 0;
};

}  // namespace s3overlay
