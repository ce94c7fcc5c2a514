// SPDX-License-Identifier: Apache-2.0
#include "overlay/list_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace s3overlay {
namespace {

// The one name that leads to a layer further down.
ListingPtr NameTowards(const Layer& layer, std::string_view path) {
  std::string name(layer.NameTowards(path));
  Entry entry = layer.MakeDirectory(path.empty() ? name : fmt::format("{}/{}", path, name));
  const Duration ttl = entry.ttl;
  std::vector<ListedEntry> entries;
  entries.push_back({.name = std::move(name), .entry = std::move(entry)});
  return std::make_shared<EntryListing>(std::move(entries), ListingTerms{}, ttl);
}

}  // namespace

Result<ListingPtr> ListWalk::Run() {
  for (const Layer& layer : stack_.layers) {
    auto more = Ask(layer);
    if (!more) return more.error();
    if (!*more) break;
  }
  if (parts_.empty()) return WhyNothing();
  const ListedPart& only = parts_.front();
  const bool as_it_is = parts_.size() == 1 && !only.made && outage_.empty() && only.state == FileState::kFresh &&
                        only.layer->is_at_root() && only.layer->index() == 0;
  return as_it_is ? only.listing : Merge();
}

Result<bool> ListWalk::Ask(const Layer& layer) {
  const Placement placement = layer.Place(path_);
  if (placement == Placement::kElsewhere) return true;
  if (placement == Placement::kAbove) {
    parts_.push_back({&layer, NameTowards(layer, path_), FileState::kFresh, "", true, lacked_for_});
    return true;
  }
  if (first_asked_ == nullptr) first_asked_ = &layer;
  auto listing = layer.source().List(layer.Inner(path_), context_);
  if (!listing) return OnFailure(layer, listing.error());
  Add(layer, *std::move(listing));
  return true;
}

Result<bool> ListWalk::OnFailure(const Layer& layer, const Error& error) {
  switch (Classify(error.code)) {
    case FailureKind::kAbsent:
      outages_.Answered(layer.index());
      lacked_for_ = std::min(lacked_for_, layer.source().AbsenceTtl(layer.Inner(path_)));
      return true;
    case FailureKind::kHidesLater: hidden_ = error; return false;
    case FailureKind::kFinal: return error;
    case FailureKind::kOutage: break;
  }
  outages_.Failed(layer.index(), error);
  if (stack_.on_outage == OnOutage::kError) return error;
  if (!first_outage_) first_outage_ = error;
  if (outage_.empty()) outage_ = DescribeOutage(layer, error);
  return true;
}

void ListWalk::Add(const Layer& layer, ListingPtr listing) {
  const bool complete = !listing->terms().degraded;
  if (complete) outages_.Answered(layer.index());
  ListedPart part{&layer, std::move(listing), FileState::kFresh, "", false, lacked_for_};
  if (!outage_.empty()) {
    part.state = FileState::kDegraded;
    part.reason = outage_;
  } else if (!complete) {
    part.state = FileState::kStale;
    part.reason = part.listing->terms().reason;
    outage_ = fmt::format("{}: {}", layer.spec(), part.listing->terms().reason);
  } else if (&layer != first_asked_) {
    part.state = FileState::kFallback;
    part.reason = fmt::format("not in {}", first_asked_->spec());
  }
  parts_.push_back(std::move(part));
}

// Degraded if one of the parts is.
ListingPtr ListWalk::Merge() {
  ListingTerms terms{.degraded = !outage_.empty(), .reason = outage_};
  return std::make_shared<UnionListing>(std::move(parts_), std::move(terms));
}

Error ListWalk::WhyNothing() const {
  if (first_outage_) return *first_outage_;
  if (hidden_) return *hidden_;
  return Error{.code = ErrorCode::kNotFound, .message = fmt::format("{} is in no layer", path_)};
}

}  // namespace s3overlay
