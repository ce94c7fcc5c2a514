// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "overlay/list_walk.h"

namespace s3overlay {
namespace {

// Where what happens to files of one state is counted.
struct StateMetrics {
  Metric opens;
  Metric read_s3;
  Metric read_local;
};

StateMetrics MetricsOf(FileState state) {
  switch (state) {
    case FileState::kFresh: return {Metric::kOpensFresh, Metric::kReadS3Fresh, Metric::kReadLocalFresh};
    case FileState::kFallback: return {Metric::kOpensFallback, Metric::kReadS3Fallback, Metric::kReadLocalFallback};
    case FileState::kDegraded: return {Metric::kOpensDegraded, Metric::kReadS3Degraded, Metric::kReadLocalDegraded};
    case FileState::kStale: return {Metric::kOpensStale, Metric::kReadS3Stale, Metric::kReadLocalStale};
  }
  return MetricsOf(FileState::kFresh);
}

// A layer's open file that speaks of itself in the overlay's terms, and counts what is read.
class OverlayFile final : public OpenFile {
 public:
  OverlayFile(const Layer& layer, Entry entry, std::shared_ptr<OpenFile> file, Metrics& metrics)
      : layer_(layer), entry_(std::move(entry)), file_(std::move(file)), metrics_(metrics) {}

  Result<size_t> Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) override {
    const auto size = file_->Read(offset, buffer, context);
    if (size) Count(*size);
    return size;
  }
  Result<ByteChain> Borrow(uint64_t offset, size_t size, const CallContext& context) override {
    auto chain = file_->Borrow(offset, size, context);
    if (chain) Count(chain->size());
    return chain;
  }

  Result<Entry> GetEntry() const override {
    auto inner = file_->GetEntry();
    if (!inner) return inner;
    Entry entry = layer_.Adopt(*std::move(inner));
    entry.state = entry_.state;
    entry.reason = entry_.reason;
    return entry;
  }

  std::shared_ptr<BackingFile> GetBackingFile() override { return file_->GetBackingFile(); }

 private:
  void Count(uint64_t bytes) {
    const StateMetrics counted = MetricsOf(entry_.state);
    metrics_.Add(layer_.local() ? counted.read_local : counted.read_s3, bytes);
  }

  const Layer& layer_;
  const Entry entry_;
  const std::shared_ptr<OpenFile> file_;
  Metrics& metrics_;
};

Error WithVerdicts(Error error, const std::vector<LayerVerdict>& verdicts) {
  std::string text;
  for (const LayerVerdict& verdict : verdicts) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", verdict.spec, verdict.answer);
  }
  error.message += fmt::format(" ({})", text);
  return error;
}

LayerStack MakeStack(OnOutage on_outage, std::vector<OverlayLayer> layers) {
  LayerStack stack{.on_outage = on_outage, .layers = {}};
  for (OverlayLayer& layer : layers) {
    stack.layers.emplace_back(std::move(layer), static_cast<int>(stack.layers.size()));
  }
  return stack;
}

std::vector<std::string> SpecsOf(const LayerStack& stack) {
  std::vector<std::string> specs;
  for (const Layer& layer : stack.layers) specs.push_back(layer.spec());
  return specs;
}

}  // namespace

OverlaySource::OverlaySource(OverlayOptions options, std::vector<OverlayLayer> layers, Metrics& metrics)
    : stack_(MakeStack(options.on_outage, std::move(layers))), outages_(SpecsOf(stack_)), metrics_(metrics) {}

Result<Entry> OverlaySource::Lookup(std::string_view path, const CallContext& context) {
  return LookupWalk(stack_, outages_, path, context).Run();
}

Result<Explanation> OverlaySource::Explain(std::string_view path, const CallContext& context) {
  LookupWalk walk(stack_, outages_, path, context);
  auto entry = walk.Run();
  std::vector<LayerVerdict> verdicts = walk.TakeVerdicts();
  AddAges(path, verdicts);
  if (!entry) return WithVerdicts(entry.error(), verdicts);
  return Explanation{.entry = *std::move(entry), .layers = std::move(verdicts)};
}

// An answer of the past has an age; a refusal is of now.
void OverlaySource::AddAges(std::string_view path, std::vector<LayerVerdict>& verdicts) const {
  for (const Layer& layer : stack_.layers) {
    LayerVerdict& verdict = verdicts[static_cast<size_t>(layer.index())];
    const bool has_answered = verdict.answer == "yes" || verdict.answer == "no";
    if (!has_answered || layer.Place(path) != Placement::kWithin) continue;
    const auto age = layer.source().AnswerAge(layer.Inner(path));
    if (age) verdict.age_s = std::chrono::duration<double>(*age).count();
  }
}

// As long as that of the layer that may gain the name first.
Duration OverlaySource::AbsenceTtl(std::string_view path) const {
  std::optional<Duration> ttl;
  for (const Layer& layer : stack_.layers) {
    if (layer.Place(path) != Placement::kWithin) continue;
    const Duration of_layer = layer.source().AbsenceTtl(layer.Inner(path));
    ttl = std::min(ttl.value_or(of_layer), of_layer);
  }
  return ttl.value_or(Duration::zero());
}

Result<ListingPtr> OverlaySource::List(std::string_view path, const CallContext& context) {
  auto listing = ListWalk(stack_, outages_, path, context).Run();
  if (listing && (*listing)->terms().degraded) metrics_.Add(Metric::kListingsDegraded);
  return listing;
}

Result<std::string> OverlaySource::ReadLink(std::string_view path, const CallContext& context) {
  auto entry = Lookup(path, context);
  if (!entry) return entry.error();
  const Layer* const layer = LayerOf(*entry);
  if (layer == nullptr || entry->attributes.type != FileType::kSymlink) {
    return Error{.code = ErrorCode::kInvalidArgument, .message = fmt::format("{} is no symbolic link", path)};
  }
  return layer->source().ReadLink(layer->Inner(path), context);
}

Result<std::shared_ptr<OpenFile>> OverlaySource::Open(const Entry& entry, const CallContext& context) {
  const Layer* const layer = LayerOf(entry);
  if (layer == nullptr) return Error{.code = ErrorCode::kIsADirectory, .message = entry.path};
  S3OVERLAY_RETURN_IF_ERROR(CheckOpen(entry));
  auto file = layer->source().Open(layer->Release(entry), context);
  if (!file) return file.error();
  metrics_.Add(MetricsOf(entry.state).opens);
  return std::shared_ptr<OpenFile>(std::make_shared<OverlayFile>(*layer, entry, *std::move(file), metrics_));
}

Result<std::optional<Entry>> OverlaySource::LastKnown(std::string_view path) const {
  for (const Layer& layer : stack_.layers) {
    if (layer.Place(path) != Placement::kWithin) continue;
    auto known = layer.source().LastKnown(layer.Inner(path));
    if (!known) return known.error();
    if (*known) return std::optional(layer.Adopt(**std::move(known)));
  }
  return std::optional<Entry>();
}

CacheShare OverlaySource::GetCacheShare(const Entry& entry) const {
  const Layer* const layer = LayerOf(entry);
  return layer == nullptr ? CacheShare{} : layer->source().GetCacheShare(layer->Release(entry));
}

Result<std::vector<std::string>> OverlaySource::ListXattr(const Entry& entry) {
  const Layer* const layer = LayerOf(entry);
  if (layer == nullptr) return std::vector<std::string>();
  return layer->source().ListXattr(layer->Release(entry));
}

Result<std::string> OverlaySource::GetXattr(const Entry& entry, const std::string& name) {
  const Layer* const layer = LayerOf(entry);
  if (layer == nullptr) return Error{.code = ErrorCode::kNotFound, .message = name};
  return layer->source().GetXattr(layer->Release(entry), name);
}

std::optional<FileSystemSpace> OverlaySource::GetSpace() const {
  for (const Layer& layer : stack_.layers) {
    if (!layer.local()) continue;
    if (auto space = layer.source().GetSpace()) return space;
  }
  return std::nullopt;
}

std::string OverlaySource::Describe() const { return fmt::format("{}", fmt::join(SpecsOf(stack_), " over ")); }

const Layer* OverlaySource::LayerOf(const Entry& entry) const {
  const auto index = static_cast<size_t>(entry.layer);
  if (index >= stack_.layers.size()) return nullptr;
  const Layer& layer = stack_.layers[index];
  return layer.Place(entry.path) == Placement::kWithin ? &layer : nullptr;
}

}  // namespace s3overlay
