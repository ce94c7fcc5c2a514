// SPDX-License-Identifier: Apache-2.0
//
// Random layers, names, outages and memories, held against a model that is nothing but maps.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "s3overlay/log.h"
#include "unit/overlay/overlay_fixture.h"

namespace s3overlay {
namespace {

using testing::TestOverlay;

// One layer as the test made it.
struct ModelLayer {
  std::map<std::string, std::optional<size_t>> names = {{"", std::nullopt}};  // Size of a file; nothing: a directory.
  std::set<std::string> remembered;
  std::set<std::string> cached;  // In part.
  bool out = false;

  bool IsFile(const std::string& path) const {
    const auto found = names.find(path);
    return found != names.end() && found->second.has_value();
  }
  bool HasFileAbove(const std::string& path) const {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      if (IsFile(path.substr(0, slash))) return true;
    }
    return false;
  }
};

class Model {
 public:
  explicit Model(OnOutage on_outage) : on_outage_(on_outage) {}

  std::vector<ModelLayer> layers;

  // "L:state" of the layer that answers, or an error's name.
  std::string Lookup(const std::string& path) const {
    bool any_no = false;
    const ModelLayer* first_out = nullptr;
    std::optional<std::optional<size_t>> known;  // Of the first layer that is out and remembers the path.
    for (size_t i = 0; i < layers.size(); ++i) {
      const ModelLayer& layer = layers[i];
      if (layer.out) {
        const bool remembers = layer.remembered.contains(path);
        if (path.empty() || (remembers && (!layer.IsFile(path) || layer.cached.contains(path)))) {
          if (path.empty() && !remembers) {
            if (first_out == nullptr) first_out = &layer;
            continue;
          }
          return Blocked(first_out, known, layer.names.at(path)) ? "unavailable" : Answer(i, "stale");
        }
        if (on_outage_ == OnOutage::kError) return "unavailable";
        if (first_out == nullptr) first_out = &layer;
        if (remembers && !known) known = layer.names.at(path);
        continue;
      }
      if (layer.HasFileAbove(path)) {
        if (first_out != nullptr) return "unavailable";
        return any_no ? "not found" : "not a directory";
      }
      const auto found = layer.names.find(path);
      if (found == layer.names.end()) {
        any_no = true;
        continue;
      }
      if (Blocked(first_out, known, found->second)) return "unavailable";
      return Answer(i, first_out != nullptr ? "degraded" : any_no ? "fallback" : "fresh");
    }
    if (path.empty()) return Answer(0, "degraded");  // The mount's own root.
    return first_out != nullptr ? "unavailable" : "not found";
  }

  // As TestOverlay::Names.
  std::string Names(const std::string& path) const {
    std::map<std::string, size_t> names;
    bool any_out = false;
    bool any_listed = false;
    for (size_t i = 0; i < layers.size(); ++i) {
      const ModelLayer& layer = layers[i];
      any_out |= layer.out;
      if (layer.out && on_outage_ == OnOutage::kError) return "unavailable";
      if (layer.out) continue;
      if (layer.HasFileAbove(path) || layer.IsFile(path)) {
        if (!any_listed && !any_out) return "not a directory";
        break;
      }
      if (!layer.names.contains(path)) continue;
      any_listed = true;
      for (const auto& [name, size] : layer.names) {
        if (const auto child = ChildOf(path, name)) names.try_emplace(*child, i);
      }
    }
    if (!any_listed) return any_out ? "unavailable" : "not found";
    std::string text;
    for (const auto& [name, layer] : names) {
      text += (text.empty() ? "" : " ") + name + "@" + std::to_string(layer);
    }
    return any_out ? text + "!" : text;
  }

 private:
  static std::string Answer(size_t layer, const char* state) { return std::to_string(layer) + ":" + state; }

  bool Blocked(const ModelLayer* first_out, const std::optional<std::optional<size_t>>& known,
               const std::optional<size_t>& candidate) const {
    return first_out != nullptr && on_outage_ == OnOutage::kFallback && known && *known != candidate;
  }

  static std::optional<std::string> ChildOf(const std::string& directory, const std::string& path) {
    const std::string prefix = directory.empty() ? "" : directory + "/";
    if (path.size() <= prefix.size() || !path.starts_with(prefix)) return std::nullopt;
    const std::string name = path.substr(prefix.size());
    return name.find('/') == std::string::npos ? std::optional(name) : std::nullopt;
  }

  const OnOutage on_outage_;
};

// All paths of up to three components out of "a" and "b".
std::vector<std::string> AllPaths() {
  std::vector<std::string> paths = {""};
  for (size_t i = 0; i < paths.size() && paths[i].size() < 5; ++i) {
    for (const char* name : {"a", "b"}) paths.push_back(paths[i].empty() ? name : paths[i] + "/" + name);
  }
  return paths;
}

class OverlayModel : public ::testing::TestWithParam<unsigned> {
 protected:
  // Every overlay of every round would tell of its outages.
  static void SetUpTestSuite() {
    LogOptions silent;
    silent.level = LogLevel::kOff;
    ASSERT_TRUE(StartLogging(silent));
  }

  bool Chance(unsigned percent) { return random_() % 100 < percent; }

  void Fill(ModelLayer& layer, testing::MemoryFileSource& source, size_t index) {
    for (const std::string& path : AllPaths()) {
      const size_t slash = path.rfind('/');
      const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
      if (path.empty() || !layer.names.contains(parent) || layer.IsFile(parent) || Chance(40)) continue;
      if (Chance(50)) {
        layer.names[path] = std::nullopt;
        source.AddDirectory(path);
        continue;
      }
      layer.names[path] = 4 + random_() % 2;
      source.AddFile(path, std::string(*layer.names[path], static_cast<char>('0' + index)));
      if (!Chance(20)) continue;
      layer.cached.insert(path);
      source.SetCacheShare(path, {.bytes = 1, .complete = false});
    }
    for (const auto& [path, size] : layer.names) {
      if (Chance(30)) layer.remembered.insert(path);
    }
    layer.out = Chance(30);
    if (layer.out) source.Fail(ErrorCode::kUnavailable);
  }

  // Questions teach the sources; the model knows only what the test chose.
  static void ResetMemory(const ModelLayer& layer, testing::MemoryFileSource& source) {
    source.ForgetAll();
    for (const std::string& path : layer.remembered) source.Remember(path);
  }

  std::mt19937 random_{GetParam()};
};

std::string LookupText(TestOverlay& overlay, const std::string& path) {
  const auto entry = overlay.Lookup(path);
  if (!entry) return std::string(ErrorCodeName(entry.error().code));
  if (!entry->readable) return overlay.Read(path);  // Shown as it was last known; the outage is the answer of Open.
  return std::to_string(entry->layer) + ":" + std::string(FileStateName(entry->state));
}

TEST_P(OverlayModel, AnswersAsTheModelDoes) {
  for (int round = 0; round < 60; ++round) {
    const auto on_outage = static_cast<OnOutage>(random_() % 3);
    Model model(on_outage);
    model.layers.resize(1 + random_() % 4);
    TestOverlay overlay(std::vector<std::string>(model.layers.size()), on_outage);
    for (size_t i = 0; i < model.layers.size(); ++i) Fill(model.layers[i], overlay[i], i);
    for (const std::string& path : AllPaths()) {
      for (size_t i = 0; i < model.layers.size(); ++i) ResetMemory(model.layers[i], overlay[i]);
      SCOPED_TRACE("round " + std::to_string(round) + ", path '" + path + "'");
      const std::string answer = LookupText(overlay, path);
      ASSERT_EQ(answer, model.Lookup(path));
      ASSERT_EQ(overlay.Names(path), model.Names(path));
      const bool served = answer.ends_with(":fresh") || answer.ends_with(":fallback") || answer.ends_with(":degraded");
      const auto layer = static_cast<size_t>(answer[0] - '0');
      if (!served || !model.layers[layer].IsFile(path)) continue;
      ASSERT_EQ(overlay.Read(path), std::string(*model.layers[layer].names.at(path), answer[0]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, OverlayModel, ::testing::Range(1U, 11U));

}  // namespace
}  // namespace s3overlay
