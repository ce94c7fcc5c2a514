// SPDX-License-Identifier: Apache-2.0
#include "overlay/lookup_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "overlay/directory_merge.h"

namespace s3overlay {
namespace {

// Of what is shown and cannot be opened: why.
class OutageOrigin final : public EntryOrigin {
 public:
  explicit OutageOrigin(Error error) : error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  const Error error_;
};

}  // namespace

std::string DescribeOutage(const Layer& layer, const Error& error) {
  return fmt::format("{} cannot answer ({}: {})", layer.spec(), ErrorCodeName(error.code), error.message);
}

Result<void> CheckOpen(const Entry& entry) {
  const auto* origin = dynamic_cast<const OutageOrigin*>(entry.origin.get());
  if (origin == nullptr) return {};
  return origin->error();
}

LookupWalk::LookupWalk(const LayerStack& stack, OutageLog& outages, std::string_view path, const CallContext& context)
    : stack_(stack),
      outages_(outages),
      path_(path),
      context_(context),
      is_structural_(std::ranges::any_of(stack.layers, [&](const Layer& l) { return l.MakesDirectory(path); })) {
  for (const Layer& layer : stack.layers) {
    verdicts_.push_back({.spec = layer.spec(), .answer = "not asked", .error = "", .age_s = std::nullopt});
  }
}

Result<Entry> LookupWalk::Run() {
  for (const Layer& layer : stack_.layers) {
    if (auto decision = Ask(layer)) return *std::move(decision);
  }
  return OnNobody(std::nullopt);
}

LookupWalk::Decision LookupWalk::Ask(const Layer& layer) {
  switch (layer.Place(path_)) {
    case Placement::kElsewhere: return std::nullopt;
    case Placement::kAbove: return Accept(layer, layer.MakeDirectory(path_));
    case Placement::kWithin: break;
  }
  auto entry = layer.source().Lookup(layer.Inner(path_), context_);
  if (!entry) return OnFailure(layer, entry.error());
  if (entry->state != FileState::kStale) outages_.Answered(layer.index());
  Note(layer, "yes");
  return Accept(layer, layer.Adopt(*std::move(entry)));
}

LookupWalk::Decision LookupWalk::OnFailure(const Layer& layer, const Error& error) {
  switch (Classify(error.code)) {
    case FailureKind::kAbsent:
      outages_.Answered(layer.index());
      Note(layer, "no");
      if (first_no_ == nullptr) first_no_ = &layer;
      no_holds_ = std::min(no_holds_, layer.source().AbsenceTtl(layer.Inner(path_)));
      return std::nullopt;
    case FailureKind::kHidesLater: Note(layer, "no"); return OnNobody(error);
    case FailureKind::kOutage: return OnOutageOf(layer, error);
    case FailureKind::kFinal: break;
  }
  Note(layer, "unavailable", &error);
  if (is_structural_ && error.code == ErrorCode::kThrottled) {
    out_.push_back({&layer, error, std::optional<Entry>()});
    return std::nullopt;
  }
  return Result<Entry>(error);
}

LookupWalk::Decision LookupWalk::OnOutageOf(const Layer& layer, const Error& error) {
  outages_.Failed(layer.index(), error);
  Note(layer, "unavailable", &error);
  auto known = layer.source().LastKnown(layer.Inner(path_));
  if (known && *known && CanServeLastKnown(**known, layer.source().GetCacheShare(**known))) {
    Entry entry = layer.Adopt(**std::move(known));
    entry.state = FileState::kStale;
    entry.reason = DescribeOutage(layer, error) + "; what was last known of it answers";
    return Accept(layer, std::move(entry));
  }
  if (stack_.on_outage == OnOutage::kError && !is_structural_) return Result<Entry>(error);
  out_.push_back({&layer, error, std::move(known)});
  return std::nullopt;
}

Result<Entry> LookupWalk::Accept(const Layer& layer, Entry entry) {
  if (entry.attributes.type == FileType::kSymlink && entry.enterable) {
    auto merged = MergeLink(layer, std::move(entry));
    if (!merged) return merged.error();
    entry = *std::move(merged);
  }
  if (auto marked = MarkState(entry); !marked) return ShowLastKnown(marked.error());
  entry.ttl = std::min(entry.ttl, no_holds_);
  return entry;
}

// A link that leads to a directory, where a later layer has a directory of that name: they are one merged directory.
// Any other answer of theirs, an outage included, leaves the link what it is.
Result<Entry> LookupWalk::MergeLink(const Layer& layer, Entry link) {
  for (size_t i = static_cast<size_t>(layer.index()) + 1; i < stack_.layers.size(); ++i) {
    const Layer& later = stack_.layers[i];
    const Placement placement = later.Place(path_);
    if (placement == Placement::kElsewhere) continue;
    if (placement == Placement::kAbove) return later.MakeDirectory(path_);
    auto entry = later.source().Lookup(later.Inner(path_), context_);
    if (entry && YieldsToDirectory(link, *entry)) return later.Adopt(*std::move(entry));
    if (!entry && entry.error().code == ErrorCode::kWouldBlock) return entry.error();
    if (entry || entry.error().code == ErrorCode::kNotADirectory) break;
  }
  return link;
}

Result<void> LookupWalk::MarkState(Entry& entry) const {
  if (!out_.empty()) {
    const Outage* const knows = FirstThatMayKnow();
    const Result<std::optional<Entry>> known = knows == nullptr ? std::optional<Entry>() : knows->last_known;
    const std::string outage = DescribeOutage(*out_.front().layer, out_.front().error);
    if (!is_structural_ && !MayStandIn(stack_.on_outage, known, entry)) {
      const std::string why =
          known ? "is known to differ from its last version" : "may differ: " + known.error().message;
      return Error{.code = out_.front().error.code, .message = fmt::format("{}, and {} {}", outage, entry.source, why)};
    }
    if (entry.state != FileState::kStale) entry.state = FileState::kDegraded;
    if (entry.readable) entry.reason = outage;
  } else if (first_no_ != nullptr && entry.state == FileState::kFresh) {
    entry.state = FileState::kFallback;
    if (entry.readable) entry.reason = fmt::format("not in {}", first_no_->spec());
  }
  const bool rests_on_outage = entry.state == FileState::kDegraded || entry.state == FileState::kStale;
  if (rests_on_outage) entry.ttl = std::min(entry.ttl, kOutageTtl);
  return {};
}

// Nothing stands in. What the layer last knew can still be shown, so that whoever looks before opening does not take an
// outage for an absence; opening it fails with `why`.
Result<Entry> LookupWalk::ShowLastKnown(const Error& why) const {
  const Outage* const out = FirstThatMayKnow();
  if (out == nullptr || !out->last_known || (*out->last_known)->attributes.type != FileType::kRegular) return why;
  Entry entry = out->layer->Adopt(**out->last_known);
  entry.state = FileState::kStale;
  entry.readable = false;
  entry.reason = DescribeOutage(*out->layer, out->error) + "; its content cannot be had";
  entry.ttl = std::min(entry.ttl, kOutageTtl);
  entry.origin = std::make_shared<OutageOrigin>(why);
  return entry;
}

// It would have won the name.
const LookupWalk::Outage* LookupWalk::FirstThatMayKnow() const {
  const auto may_know = [](const Outage& out) { return !out.last_known || *out.last_known; };
  const auto knows = std::ranges::find_if(out_, may_know);
  return knows == out_.end() ? nullptr : &*knows;
}

// No layer has the name, or one of them (`hidden`) has a file where the path needs a directory.
Result<Entry> LookupWalk::OnNobody(const std::optional<Error>& hidden) {
  if (is_structural_ && !hidden) {
    const auto maker = std::ranges::find_if(stack_.layers, [&](const Layer& l) { return l.MakesDirectory(path_); });
    Entry entry = maker->MakeDirectory(path_);
    first_no_ = nullptr;
    S3OVERLAY_RETURN_IF_ERROR(MarkState(entry));
    return entry;
  }
  if (!out_.empty()) return ShowLastKnown(out_.front().error);
  if (hidden && first_no_ == nullptr) return *hidden;
  return Error{.code = ErrorCode::kNotFound, .message = fmt::format("{} is in no layer", path_)};
}

void LookupWalk::Note(const Layer& layer, const char* answer, const Error* error) {
  LayerVerdict& verdict = verdicts_[static_cast<size_t>(layer.index())];
  verdict.answer = answer;
  if (error != nullptr) verdict.error = fmt::format("{}: {}", ErrorCodeName(error->code), error->message);
}

}  // namespace s3overlay
