// SPDX-License-Identifier: Apache-2.0
#include "config/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config/layer_spec.h"

namespace s3overlay {
namespace {

constexpr std::string_view kLayers = "Layers";
constexpr std::string_view kStore = "Store";
constexpr std::string_view kCache = "Cache and memory";
constexpr std::string_view kBehaviour = "Behaviour";
constexpr std::string_view kShown = "Owners and permissions";
constexpr std::string_view kProcess = "Process and log";
constexpr std::string_view kSettings = "Where settings come from";

constexpr uint64_t kSmallestBlock = 4 << 10;
constexpr uint64_t kLargestBlock = 8 << 20;   // An extent of the cache's index.
constexpr uint64_t kLeastMemory = 16 << 20;   // Below it not even one part of a read ahead fits.
constexpr uint32_t kLargestId = 0xFFFFFFFEU;  // -1 means "none" to chown(2).

Error Invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

// Puts what `parse` makes of the text into `field`.
template <typename T, typename U>
Result<void> Keep(Result<T> parsed, U& field) {
  if (!parsed) return parsed.error();
  field = static_cast<U>(*std::move(parsed));
  return {};
}

// The same for a switch whose field means the opposite of its name (--no-cache).
Result<void> KeepNot(std::string_view text, bool& field) {
  const Result<bool> on = ParseSwitch(text);
  if (!on) return on.error();
  field = !*on;
  return {};
}

Result<void> KeepText(std::string_view text, std::string& field) {
  if (TrimSpace(text).empty()) return Invalid("a value is missing");
  field = std::string(text);
  return {};
}

Result<void> KeepPath(std::string_view text, std::string& field) {
  if (text.empty()) return Invalid("a path is missing");
  field = AbsolutePath(text);
  return {};
}

template <typename E, size_t N>
Result<void> KeepChoice(std::string_view text, const std::array<std::pair<std::string_view, E>, N>& choices, E& field) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (text == name) {
      field = value;
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return Invalid(fmt::format("'{}' is none of {}", text, names));
}

Result<void> ApplyAddressing(std::string_view text, Addressing& field) {
  constexpr std::array<std::pair<std::string_view, Addressing>, 3> kChoices = {
      {{"auto", Addressing::kAuto}, {"path", Addressing::kPath}, {"virtual", Addressing::kVirtual}}};
  return KeepChoice(text, kChoices, field);
}

Result<void> ApplyOnOutage(std::string_view text, ConfigDraft& draft) {
  constexpr std::array<std::pair<std::string_view, OnOutage>, 3> kChoices = {
      {{"fallback", OnOutage::kFallback}, {"any", OnOutage::kAny}, {"error", OnOutage::kError}}};
  return KeepChoice(text, kChoices, draft.config.on_outage);
}

Result<void> ApplyLogFormat(std::string_view text, ConfigDraft& draft) {
  constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kChoices = {
      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}};
  return KeepChoice(text, kChoices, draft.config.log.format);
}

Result<void> ApplyLayer(std::string_view text, ConfigDraft& draft) {
  Result<LayerSpec> layer = ParseLayerSpec(text);
  if (!layer) return layer.error();
  draft.layers.push_back(*std::move(layer));
  return {};
}

Result<void> ApplyBlockSize(std::string_view text, ConfigDraft& draft) {
  const Result<uint64_t> size = ParseSize(text);
  if (!size) return size.error();
  const bool is_power_of_two = *size != 0 && (*size & (*size - 1)) == 0;
  if (!is_power_of_two || *size < kSmallestBlock || *size > kLargestBlock) {
    return Invalid(fmt::format("'{}' cannot be a block: it must be a power of two from 4K to 8M", text));
  }
  draft.config.cache.block_size = *size;
  return {};
}

Result<void> ApplyCacheSize(std::string_view text, ConfigDraft& draft) {
  S3OVERLAY_RETURN_IF_ERROR(Keep(ParseSize(text), draft.cache_size));
  if (*draft.cache_size == 0) return Invalid("a cache of no size; use --no-cache to go without one");
  return {};
}

Result<void> ApplyMemoryLimit(std::string_view text, ConfigDraft& draft) {
  S3OVERLAY_RETURN_IF_ERROR(Keep(ParseSize(text), draft.memory_limit));
  if (*draft.memory_limit < kLeastMemory) return Invalid(fmt::format("'{}' is too little; 16M is the least", text));
  return {};
}

Result<void> ApplyOpTimeout(std::string_view text, ConfigDraft& draft) {
  S3OVERLAY_RETURN_IF_ERROR(Keep(ParseDuration(text), draft.config.op_timeout));
  if (draft.config.op_timeout <= Duration::zero()) return Invalid("no time at all; \"30s\" is the default");
  return {};
}

Result<void> ApplyMountOptions(std::string_view text, ConfigDraft& draft) {
  for (std::string& option : SplitList(text, ',')) {
    if (option == "rw") return Invalid("'rw': the mount is read-only; leave it out");
    if (option == "allow_other") {
      draft.config.allow_other = true;
    } else {
      draft.config.mount_options.push_back(std::move(option));
    }
  }
  return {};
}

using Text = std::string_view;
using Draft = ConfigDraft;
constexpr OptionKind kSwitch = OptionKind::kSwitch;
constexpr OptionKind kValue = OptionKind::kValue;
constexpr OptionKind kList = OptionKind::kList;

// clang-format off: a row is read as one.
const OptionRow kTable[] = {
    {"layer", kList, "[PATH=]SPEC", kLayers,
     "A layer, highest priority first: s3://bucket[/prefix] or a local directory. PATH= places it below the mountpoint. "
     "Repeat it for more layers", false, 0, ApplyLayer},
    {"on-outage", kValue, "POLICY", kLayers,
     "What stands in for a file while a store cannot answer: fallback (a later layer's file, unless it is known to "
     "differ), any (whatever a later layer has), error (nothing). Default: fallback", false, 0, ApplyOnOutage},
    {"local-follow", kSwitch, "", kLayers, "Enter links of local layers that lead out of their directory", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseSwitch(text), draft.config.local_follow); }},

    {"endpoint", kValue, "URL", kStore,
     "The store. Default: OVH_S3_ENDPOINT with OVH_S3_* keys, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS itself", true, 0,
     [](Text text, Draft& draft) { return KeepText(text, draft.endpoint); }},
    {"region", kValue, "NAME", kStore, "Default: OVH_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION, or us-east-1", true, 0,
     [](Text text, Draft& draft) { return KeepText(text, draft.region); }},
    {"addressing", kValue, "STYLE", kStore,
     "Where the bucket stands: path (endpoint/bucket), virtual (bucket.endpoint) or auto. Default: auto", true, 0,
     [](Text text, Draft& draft) { return ApplyAddressing(text, draft.config.store.addressing); }},
    {"no-sign-request", kSwitch, "", kStore, "Ask without credentials, for public buckets", true, 0,
     [](Text text, Draft& draft) { return Keep(ParseSwitch(text), draft.config.store.anonymous); }},
    {"ca-bundle", kValue, "FILE", kStore, "Certificates (PEM) of the authorities to trust instead of the system's", true, 0,
     [](Text text, Draft& draft) { return KeepPath(text, draft.config.store.ca_bundle); }},
    {"op-timeout", kValue, "TIME", kStore, "The longest that a read may take, retries included. Default: 30s", true, 0,
     ApplyOpTimeout},

    {"cache-dir", kValue, "DIR", kCache,
     "Where blocks are kept. Default: $CACHE_DIRECTORY, or a directory of this mountpoint's own in /var/cache/s3overlay "
     "(root) or ~/.cache/s3overlay", false, 0,
     [](Text text, Draft& draft) { return KeepPath(text, draft.cache_dir); }},
    {"no-cache", kSwitch, "", kCache, "Keep nothing on disk", false, 0,
     [](Text text, Draft& draft) { return KeepNot(text, draft.config.cache.enabled); }},
    {"cache-size", kValue, "SIZE", kCache, "Most that the cache takes. Default: half of the free space, at most 100G",
     false, 0, ApplyCacheSize},
    {"cache-min-free", kValue, "SIZE|PERCENT", kCache, "Space that the cache leaves free. Default: 10%", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseSizeOrPercent(text), draft.cache_min_free); }},
    {"block-size", kValue, "SIZE", kCache, "Unit of the cache, a power of two. Another one empties it. Default: 128K",
     false, 0, ApplyBlockSize},
    {"memory-limit", kValue, "SIZE", kCache, "Most memory for data. Default: a quarter of the memory, at most 512M",
     false, 0, ApplyMemoryLimit},

    {"metadata-ttl", kValue, "TIME", kBehaviour, "How long names and versions are taken to be unchanged. Default: 60s",
     false, 0, [](Text text, Draft& draft) { return Keep(ParseDuration(text), draft.config.metadata_ttl); }},
    {"negative-ttl", kValue, "TIME", kBehaviour, "The same for names that are not there. Default: 5s", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseDuration(text), draft.config.negative_ttl); }},
    {"no-xattr", kSwitch, "", kBehaviour, "No extended attributes (user.s3overlay.*): a faster ls -l", false, 0,
     [](Text text, Draft& draft) { return KeepNot(text, draft.config.xattr); }},
    {"no-passthrough", kSwitch, "", kBehaviour, "Read every file through the daemon", false, 0,
     [](Text text, Draft& draft) { return KeepNot(text, draft.config.passthrough); }},

    {"allow-other", kSwitch, "", kShown, "Let other users in (without root: needs user_allow_other in /etc/fuse.conf)",
     false, 0, [](Text text, Draft& draft) { return Keep(ParseSwitch(text), draft.config.allow_other); }},
    {"uid", kValue, "NUMBER", kShown, "Owner of everything. Default: who mounts", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseNumber(text, 10, kLargestId), draft.config.ownership.uid); }},
    {"gid", kValue, "NUMBER", kShown, "Group of everything. Default: that of who mounts", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseNumber(text, 10, kLargestId), draft.config.ownership.gid); }},
    {"file-mode", kValue, "MODE", kShown, "Permissions of objects, in octal. Default: 0444", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseNumber(text, 8, 0777), draft.config.ownership.file_mode); }},
    {"dir-mode", kValue, "MODE", kShown, "Permissions of their directories. Default: 0555", false, 0,
     [](Text text, Draft& draft) { return Keep(ParseNumber(text, 8, 0777), draft.config.ownership.dir_mode); }},
    {"mount-options", kList, "OPTION,...", kShown, "Options of mount(8) and FUSE", false, 'o', ApplyMountOptions},

    {"foreground", kSwitch, "", kProcess, "Stay in the foreground and log to standard error", false, 'f',
     [](Text text, Draft& draft) { return Keep(ParseSwitch(text), draft.config.foreground); }},
    {"log-level", kValue, "LEVEL", kProcess, "trace, debug, info, warning, error or off. Default: info; off where nothing is mounted", true, 0,
     [](Text text, Draft& draft) { return Keep(ParseLogLevel(text), draft.config.log.level); }},
    {"log-file", kValue, "FILE", kProcess, "Append the log to FILE. Default: standard error; in the background syslog",
     false, 0, [](Text text, Draft& draft) { return KeepPath(text, draft.config.log.file); }},
    {"log-format", kValue, "FORMAT", kProcess, "text or json. Default: text", false, 0, ApplyLogFormat},

    {"config", kValue, "FILE", kSettings,
     "A TOML file with these options as keys (cache-size = \"10G\"), and [[layer]] tables with spec, at, endpoint, region "
     "and addressing", true},
    {"env-file", kValue, "FILE", kSettings,
     "NAME=value lines, for credentials and S3OVERLAY_* settings; the real environment comes first, and with a key of its "
     "own leaves all keys of FILE out", true},
};
// clang-format on

Error At(const std::string& origin, const Error& error) {
  return Error{error.code, fmt::format("{}: {}", origin, error.message)};
}

}  // namespace

std::span<const OptionRow> OptionTable() { return kTable; }

const OptionRow* FindOption(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const OptionRow& row) { return row.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

std::string EnvironmentName(std::string_view option) {
  std::string name = "S3OVERLAY_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
  return name;
}

Settings SettingsOf(const Environment& environment) {
  Settings settings;
  for (const OptionRow& row : OptionTable()) {
    const std::string name = EnvironmentName(row.name);
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) continue;
    // Layers hold commas and spaces, so only a line break parts them.
    Setting setting{{found->second}, name};
    if (row.kind == OptionKind::kList) setting.values = SplitList(found->second, '\n');
    settings.emplace(row.name, std::move(setting));
  }
  return settings;
}

Result<void> ApplySettings(const Settings& settings, ConfigDraft& draft) {
  for (const OptionRow& row : OptionTable()) {
    const auto found = settings.find(row.name);
    if (found == settings.end() || row.apply == nullptr) continue;
    for (const std::string& value : found->second.values) {
      if (Result<void> applied = row.apply(value, draft); !applied) return At(found->second.origin, applied.error());
    }
  }
  return {};
}

}  // namespace s3overlay
