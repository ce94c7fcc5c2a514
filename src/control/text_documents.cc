// SPDX-License-Identifier: Apache-2.0
//
// The text forms of the documents.
#include <fmt/format.h>

#include <array>
#include <ctime>
#include <string_view>
#include <variant>

#include "control/documents.h"
#include "s3overlay/log.h"

namespace s3overlay {
namespace {

std::string Line(std::string_view name, std::string_view value) {
  return fmt::format("{:<18} {}\n", fmt::format("{}:", name), EscapeControlCharacters(value));
}

std::string_view YesOrNo(bool value) { return value ? "yes" : "no"; }

bool IsBranch(const StatusValue& value) {
  return std::holds_alternative<StatusObject>(value.value) || std::holds_alternative<StatusList>(value.value);
}

std::string LeafText(const StatusValue& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, bool>) {
          return std::string(YesOrNo(held));
        } else if constexpr (std::is_same_v<Held, double>) {
          return fmt::format("{:.1f}", held);
        } else if constexpr (std::is_same_v<Held, std::string>) {
          return held.empty() ? "-" : EscapeControlCharacters(held);
        } else if constexpr (std::is_integral_v<Held>) {
          return fmt::format("{}", held);
        } else {
          return "-";
        }
      },
      value.value);
}

void PrintTree(const StatusObject& object, size_t indent, std::string& out);

void PrintList(const StatusList& list, size_t indent, std::string& out) {
  for (const StatusValue& element : list) {
    if (const auto* const object = std::get_if<StatusObject>(&element.value)) {
      // The dash of a list element stands where its first field is indented.
      const size_t start = out.size();
      PrintTree(*object, indent + 2, out);
      if (out.size() > start + indent) out[start + indent] = '-';
    } else if (!IsBranch(element)) {
      out += fmt::format("{:{}}- {}\n", "", indent, LeafText(element));
    }
  }
}

void PrintTree(const StatusObject& object, size_t indent, std::string& out) {
  for (const auto& [name, value] : object) {
    out += fmt::format("{:{}}{}:", "", indent, EscapeControlCharacters(name));
    if (!IsBranch(value)) {
      out += " " + LeafText(value) + "\n";
      continue;
    }
    out += "\n";
    if (const auto* const inner = std::get_if<StatusObject>(&value.value)) PrintTree(*inner, indent + 2, out);
    if (const auto* const list = std::get_if<StatusList>(&value.value)) PrintList(*list, indent + 2, out);
  }
}

std::string LayerText(const LayerAnswer& layer) {
  std::string text =
      fmt::format("  {}: {}", EscapeControlCharacters(layer.spec), EscapeControlCharacters(layer.answer));
  if (layer.age_s) text += fmt::format(", known for {:.1f} s", *layer.age_s);
  if (!layer.error.empty()) text += fmt::format(" ({})", EscapeControlCharacters(layer.error));
  return text + "\n";
}

std::string CachedText(const Resolution& resolution) {
  if (resolution.cache.complete) return "all of it";
  return fmt::format("{} of {}", FormatBytes(resolution.cache.bytes), FormatBytes(resolution.entry.attributes.size));
}

}  // namespace

std::string FormatTime(WallTime time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm broken_down{};
  std::array<char, 32> text{};
  ::gmtime_r(&seconds, &broken_down);
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
  return text.data();
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < kUnits.size(); ++unit) amount /= 1024;
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string StatusToText(const StatusObject& status) {
  StatusObject shown = status;
  std::erase_if(shown, [](const auto& field) { return field.first == "metrics"; });
  std::string out;
  PrintTree(shown, 0, out);
  return out;
}

std::string ResolutionToText(const Resolution& resolution) {
  const Entry& entry = resolution.entry;
  std::string out = Line("path", resolution.path.empty() ? "." : resolution.path);
  if (!resolution.mountpoint.empty()) out += Line("mountpoint", resolution.mountpoint);
  out += Line("type", FileTypeName(entry.attributes.type));
  out += Line("source", entry.source);
  out += Line("state", FileStateName(entry.state));
  if (!entry.reason.empty()) out += Line("reason", entry.reason);
  if (!entry.etag.empty()) out += Line("etag", entry.etag);
  if (entry.attributes.type == FileType::kRegular) {
    out += Line("size", fmt::format("{} ({} bytes)", FormatBytes(entry.attributes.size), entry.attributes.size));
    out += Line("modified", FormatTime(entry.attributes.mtime));
    out += Line("cached", CachedText(resolution));
    out += Line("passthrough", YesOrNo(resolution.passthrough));
  }
  if (!resolution.layers.empty()) out += "layers:\n";
  for (const LayerAnswer& layer : resolution.layers) out += LayerText(layer);
  return out;
}

std::string CacheStatsToText(const BlockCacheStats& stats, const std::optional<CacheOwner>& owner) {
  std::string out = Line("directory", stats.dir);
  out += Line("in use by", owner ? fmt::format("process {}, mounted at {}", owner->pid, owner->mountpoint) : "nobody");
  const std::string used = FormatBytes(stats.bytes);
  out += Line("used", owner ? fmt::format("{} of {}", used, FormatBytes(stats.size_limit)) : used);
  out += Line("index", FormatBytes(stats.index_bytes));
  if (owner) out += Line("keeps free", FormatBytes(stats.min_free));
  out += Line("objects", fmt::format("{}, of them complete {}", stats.objects, stats.complete_objects));
  out += Line("blocks", fmt::format("{} of {}", stats.blocks, FormatBytes(stats.block_size)));
  out += Line("hits", fmt::format("{}, misses {}", stats.hits, stats.misses));
  out += Line("evictions", fmt::format("{}", stats.evictions));
  out += Line("checksum failures", fmt::format("{}", stats.checksum_failures));
  out += Line("dropped writes", fmt::format("{}", stats.dropped_writes));
  out += Line("clean stop", YesOrNo(stats.clean_stop));
  return out;
}

std::string VerifyReportToText(const CacheVerifyReport& report) {
  const std::string checked = fmt::format("checked {} blocks of {} objects: ", report.blocks, report.objects);
  if (report.damaged_blocks == 0 && report.damaged_files == 0) return checked + "no damage\n";
  return checked + fmt::format("{} damaged blocks and {} damaged files dropped; the next read fetches them again\n",
                               report.damaged_blocks, report.damaged_files);
}

}  // namespace s3overlay
