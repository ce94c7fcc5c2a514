// SPDX-License-Identifier: Apache-2.0
#include "overlay/layer.h"

#include <utility>

namespace s3overlay {
namespace {

// What an entry of an overlay inside this overlay had in the fields that Adopt takes over.
class NestedOrigin final : public EntryOrigin {
 public:
  NestedOrigin(int layer, std::shared_ptr<const EntryOrigin> origin) : layer_(layer), origin_(std::move(origin)) {}
  int layer() const { return layer_; }
  const std::shared_ptr<const EntryOrigin>& origin() const { return origin_; }

 private:
  const int layer_;
  const std::shared_ptr<const EntryOrigin> origin_;
};

bool IsAtOrBelow(std::string_view path, std::string_view parent) {
  if (parent.empty()) return true;
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

}  // namespace

Placement Layer::Place(std::string_view path) const {
  if (IsAtOrBelow(path, layer_.at)) return Placement::kWithin;
  return IsAtOrBelow(layer_.at, path) ? Placement::kAbove : Placement::kElsewhere;
}

bool Layer::MakesDirectory(std::string_view path) const { return IsAtOrBelow(layer_.at, path); }

std::string_view Layer::Inner(std::string_view path) const {
  if (path.size() <= layer_.at.size()) return "";
  return layer_.at.empty() ? path : path.substr(layer_.at.size() + 1);
}

std::string_view Layer::NameTowards(std::string_view path) const {
  const std::string_view rest = std::string_view(layer_.at).substr(path.empty() ? 0 : path.size() + 1);
  return rest.substr(0, rest.find('/'));
}

Entry Layer::Adopt(Entry entry) const {
  if (entry.layer != 0) entry.origin = std::make_shared<NestedOrigin>(entry.layer, std::move(entry.origin));
  entry.layer = index_;
  if (!layer_.at.empty()) entry.path = entry.path.empty() ? layer_.at : layer_.at + "/" + entry.path;
  return entry;
}

Entry Layer::Release(const Entry& entry) const {
  Entry inner = entry;
  inner.path = Inner(entry.path);
  inner.layer = 0;
  if (const auto* nested = dynamic_cast<const NestedOrigin*>(entry.origin.get())) {
    inner.layer = nested->layer();
    inner.origin = nested->origin();
  }
  return inner;
}

Entry Layer::MakeDirectory(std::string_view path) const {
  Entry entry;
  entry.attributes.type = FileType::kDirectory;
  entry.path = path;
  entry.source = spec();
  entry.layer = index_;
  entry.ttl = std::chrono::seconds(1);
  return entry;
}

}  // namespace s3overlay
