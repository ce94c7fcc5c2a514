// SPDX-License-Identifier: Apache-2.0
//
// ListWalk: one question, "which names are in this directory", put to all layers, and the union of what they say.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/lookup_walk.h"
#include "overlay/union_listing.h"

namespace s3overlay {

// For one thread and one use.
class ListWalk {
 public:
  // `stack` and `outages` outlive the walk.
  ListWalk(const LayerStack& stack, OutageLog& outages, std::string_view path, const CallContext& context)
      : stack_(stack), outages_(outages), path_(path), context_(context) {}

  Result<ListingPtr> Run();

 private:
  // False: no later layer is to be asked.
  Result<bool> Ask(const Layer& layer);
  Result<bool> OnFailure(const Layer& layer, const Error& error);
  void Add(const Layer& layer, ListingPtr listing);
  ListingPtr Merge();
  Error WhyNothing() const;

  const LayerStack& stack_;
  OutageLog& outages_;
  const std::string_view path_;
  const CallContext& context_;
  std::vector<ListedPart> parts_;
  const Layer* first_asked_ = nullptr;
  Duration lacked_for_ = Duration::max();  // How long the layers asked so far that lack the directory still lack it.
  std::string outage_;                     // The first layer that could not list, and why; empty: there is none.
  std::optional<Error> first_outage_;
  std::optional<Error> hidden_;  // The layer that has a file where the directory should be.
};

}  // namespace s3overlay
