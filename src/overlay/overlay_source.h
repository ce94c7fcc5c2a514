// SPDX-License-Identifier: Apache-2.0
//
// OverlaySource: an ordered list of file sources as one file source. The first layer that has a name serves it; a layer
// that cannot answer is no layer that says no (docs/semantics.md holds the table).
//
// Lookup asks the layers one after the other and stops at the first yes. A directory is the union of all layers'. What
// was looked up is opened in the layer that answered, and in no other: bytes of two layers never mix.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/lookup_walk.h"
#include "overlay/outage_log.h"
#include "s3overlay/file_source.h"
#include "s3overlay/metrics.h"

namespace s3overlay {

struct OverlayOptions {
  OnOutage on_outage = OnOutage::kFallback;
};

// Which layer serves a path, and what each one said.
struct Explanation {
  Entry entry;
  std::vector<LayerVerdict> layers;
};

// Thread-safe. kThrottled, kWouldBlock and kCancelled of a layer are the overlay's own answer, and so is every error
// that is neither an absence nor an outage. Where nothing stands in for a layer that is out, or what is there is known
// to differ, the outage is the answer: of Lookup if the layer never knew the name, else of Open, and Lookup shows what
// was last known (stale and not readable).
class OverlaySource final : public FileSource {
 public:
  // `layers`: highest priority first, owned from now on. `metrics` outlives the overlay, and the overlay its files.
  OverlaySource(OverlayOptions options, std::vector<OverlayLayer> layers, Metrics& metrics);

  Result<Entry> Lookup(std::string_view path, const CallContext& context) override;
  Duration AbsenceTtl(std::string_view path) const override;
  Result<ListingPtr> List(std::string_view path, const CallContext& context) override;
  Result<std::string> ReadLink(std::string_view path, const CallContext& context) override;
  Result<std::shared_ptr<OpenFile>> Open(const Entry& entry, const CallContext& context) override;
  Result<std::optional<Entry>> LastKnown(std::string_view path) const override;
  CacheShare GetCacheShare(const Entry& entry) const override;
  Result<std::vector<std::string>> ListXattr(const Entry& entry) override;
  Result<std::string> GetXattr(const Entry& entry, const std::string& name) override;
  std::optional<FileSystemSpace> GetSpace() const override;
  std::string Describe() const override;

  // As Lookup, with what each layer said; an error says it in its message.
  Result<Explanation> Explain(std::string_view path, const CallContext& context);

 private:
  // The layer whose source knows the entry; null for directories that exist by the configuration alone.
  const Layer* LayerOf(const Entry& entry) const;
  void AddAges(std::string_view path, std::vector<LayerVerdict>& verdicts) const;

  LayerStack stack_;  // Constant after construction.
  OutageLog outages_;
  Metrics& metrics_;
};

}  // namespace s3overlay
