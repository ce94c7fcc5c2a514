// SPDX-License-Identifier: Apache-2.0
//
// An overlay over sources in memory: "s3://one", "s3://two", ... in this order.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "overlay/overlay_source.h"
#include "support/listings.h"
#include "support/memory_file_source.h"

namespace s3overlay::testing {

class TestOverlay {
 public:
  // One layer for each place below the mountpoint.
  explicit TestOverlay(const std::vector<std::string>& places, OnOutage on_outage = OnOutage::kFallback) {
    std::vector<OverlayLayer> layers;
    for (const std::string& at : places) {
      const std::string spec = "layer" + std::to_string(layers.size());
      auto source = std::make_unique<MemoryFileSource>(spec, 7);
      sources_.push_back(source.get());
      layers.push_back({.spec = spec, .at = at, .source = std::move(source)});
    }
    overlay_ = std::make_unique<OverlaySource>(OverlayOptions{on_outage}, std::move(layers), metrics_);
  }

  MemoryFileSource& operator[](size_t layer) { return *sources_[layer]; }
  OverlaySource* operator->() { return overlay_.get(); }
  const Metrics& metrics() const { return metrics_; }

  Result<Entry> Lookup(const std::string& path) { return overlay_->Lookup(path, {}); }

  // "name@layer name@layer", with a ! after degraded ones; the error's name where the listing failed.
  std::string Names(const std::string& path) {
    auto listing = overlay_->List(path, {});
    if (!listing) return std::string(ErrorCodeName(listing.error().code));
    std::string text;
    for (const ListedEntry& listed : EntriesOf(**listing)) {
      text += (text.empty() ? "" : " ") + listed.name + "@" + std::to_string(listed.entry.layer);
    }
    return (*listing)->terms().degraded ? text + "!" : text;
  }

  // The bytes of the file, through lookup and open; the error's name where one of them failed.
  std::string Read(const std::string& path) {
    auto entry = Lookup(path);
    if (!entry) return std::string(ErrorCodeName(entry.error().code));
    auto file = overlay_->Open(*entry, {});
    if (!file) return std::string(ErrorCodeName(file.error().code));
    std::string bytes(100, '\0');
    auto size = (*file)->Read(0, std::as_writable_bytes(std::span(bytes)), {});
    return size ? bytes.substr(0, *size) : std::string(ErrorCodeName(size.error().code));
  }

 private:
  Metrics metrics_;
  std::vector<MemoryFileSource*> sources_;  // Owned by the overlay.
  std::unique_ptr<OverlaySource> overlay_;
};

}  // namespace s3overlay::testing
