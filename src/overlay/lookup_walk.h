// SPDX-License-Identifier: Apache-2.0
//
// LookupWalk: one question, "what is at this path", put to the layers one after the other.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/layer.h"
#include "overlay/outage_log.h"
#include "overlay/outage_policy.h"
#include "s3overlay/file_source.h"

namespace s3overlay {

// What one layer said about a path.
struct LayerVerdict {
  std::string spec;             // The layer, as the user wrote it.
  std::string answer;           // "yes", "no", "unavailable", "not asked"
  std::string error;            // Empty unless unavailable.
  std::optional<double> age_s;  // Seconds since the store said so; nothing where the source does not tell.
};

// What an overlay is made of, for the walks over it.
struct LayerStack {
  OnOutage on_outage = OnOutage::kFallback;
  std::deque<Layer> layers;  // Highest priority first; never changes after construction.
};

// For one thread and one use.
class LookupWalk {
 public:
  // `stack` and `outages` outlive the walk.
  LookupWalk(const LayerStack& stack, OutageLog& outages, std::string_view path, const CallContext& context);

  Result<Entry> Run();

  // One for each layer in order, after Run.
  std::vector<LayerVerdict> TakeVerdicts() { return std::move(verdicts_); }

 private:
  // Nothing: the next layer is to be asked.
  using Decision = std::optional<Result<Entry>>;

  struct Outage {
    const Layer* layer;
    Error error;
    Result<std::optional<Entry>> last_known;
  };

  Decision Ask(const Layer& layer);
  Decision OnFailure(const Layer& layer, const Error& error);
  Decision OnOutageOf(const Layer& layer, const Error& error);
  Result<Entry> Accept(const Layer& layer, Entry entry);
  Result<Entry> MergeLink(const Layer& layer, Entry link);
  Result<void> MarkState(Entry& entry) const;
  Result<Entry> OnNobody(const std::optional<Error>& hidden);
  Result<Entry> ShowLastKnown(const Error& why) const;
  const Outage* FirstThatMayKnow() const;
  void Note(const Layer& layer, const char* answer, const Error* error = nullptr);

  const LayerStack& stack_;
  OutageLog& outages_;
  const std::string_view path_;
  const CallContext& context_;
  const bool is_structural_;  // A directory by the configuration: whatever the layers say, it exists.
  std::vector<LayerVerdict> verdicts_;
  std::vector<Outage> out_;              // Layers that could not answer, in order.
  const Layer* first_no_ = nullptr;      // The first layer that answered and has no such name.
  Duration no_holds_ = Duration::max();  // Of the layers that have no such name, how long until one may have it.
};

// Fails where a walk has shown what was last known of a file and it cannot be opened.
Result<void> CheckOpen(const Entry& entry);

// "SPEC cannot answer (unavailable: ...)".
std::string DescribeOutage(const Layer& layer, const Error& error);

}  // namespace s3overlay
