// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace s3overlay {
namespace {

// Reads one file into a ConfigFile; the first error ends it.
class ConfigFileReader {
 public:
  explicit ConfigFileReader(const std::string& name) : name_(name) {}

  Result<ConfigFile> Read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      S3OVERLAY_RETURN_IF_ERROR(key.str() == "layer" ? AddLayers(node) : AddSetting(key.str(), node));
    }
    return std::move(file_);
  }

 private:
  std::string Place(const toml::node& node) const { return fmt::format("{}:{}", name_, node.source().begin.line); }

  Error Fault(const toml::node& node, std::string_view message) const {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{}: {}", Place(node), message)};
  }

  // A value as it would stand on the command line; nothing for tables, dates and the like.
  static std::optional<std::string> ValueText(const toml::node& node) {
    if (const auto* const text = node.as_string()) return text->get();
    if (const auto* const number = node.as_integer()) return std::to_string(number->get());
    if (const auto* const number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* const flag = node.as_boolean()) return flag->get() ? "true" : "false";
    return std::nullopt;
  }

  Result<void> AddSetting(std::string_view key, const toml::node& node) {
    std::string name(key);
    std::replace(name.begin(), name.end(), '_', '-');
    const OptionRow* const row = FindOption(name);
    if (row == nullptr || row->apply == nullptr) return Fault(node, fmt::format("there is no setting '{}'", key));
    Setting setting{{}, fmt::format("{}: {}", Place(node), key)};
    const auto* const list = row->kind == OptionKind::kList ? node.as_array() : nullptr;
    Result<void> added = list == nullptr ? AddValue(node, key, setting) : AddValues(*list, key, setting);
    if (added) file_.settings.emplace(std::move(name), std::move(setting));
    return added;
  }

  Result<void> AddValues(const toml::array& list, std::string_view key, Setting& setting) const {
    for (const toml::node& element : list) S3OVERLAY_RETURN_IF_ERROR(AddValue(element, key, setting));
    return {};
  }

  Result<void> AddValue(const toml::node& node, std::string_view key, Setting& setting) const {
    std::optional<std::string> text = ValueText(node);
    if (!text) return Fault(node, fmt::format("'{}' takes a text, a number, true or false", key));
    setting.values.push_back(*std::move(text));
    return {};
  }

  Result<void> AddLayers(const toml::node& node) {
    const auto* const tables = node.as_array();
    if (tables == nullptr) return Fault(node, "layers are written as [[layer]] tables with a spec");
    for (const toml::node& table : *tables) {
      if (table.as_table() == nullptr) return Fault(table, "layers are written as [[layer]] tables with a spec");
      S3OVERLAY_RETURN_IF_ERROR(AddLayer(*table.as_table()));
    }
    return {};
  }

  Result<void> AddLayer(const toml::table& table) {
    LayerTable layer;
    layer.origin = Place(table);
    const std::array<std::pair<std::string_view, std::string*>, 5> fields = {{{"spec", &layer.spec},
                                                                              {"at", &layer.at},
                                                                              {"endpoint", &layer.endpoint},
                                                                              {"region", &layer.region},
                                                                              {"addressing", &layer.addressing}}};
    for (const auto& [key, node] : table) {
      const auto* const field = std::find_if(fields.begin(), fields.end(),
                                             [name = key.str()](const auto& known) { return known.first == name; });
      if (field == fields.end()) return Fault(node, fmt::format("a layer has no '{}'", key.str()));
      if (!node.is_string()) return Fault(node, fmt::format("'{}' of a layer takes a text", key.str()));
      *field->second = node.as_string()->get();
    }
    if (layer.spec.empty()) return Fault(table, "a layer needs a spec: s3://bucket[/prefix] or a local directory");
    file_.layers.push_back(std::move(layer));
    return {};
  }

  const std::string& name_;
  ConfigFile file_;
};

}  // namespace

Result<ConfigFile> ParseConfigFile(std::string_view text, const std::string& name) {
  try {
    return ConfigFileReader(name).Read(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}:{}: {}", name, error.source().begin.line, error.description())};
  }
}

}  // namespace s3overlay
