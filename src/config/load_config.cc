// SPDX-License-Identifier: Apache-2.0
#include "config/load_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "config/config_file.h"
#include "config/environment.h"
#include "config/layer_spec.h"
#include "config/machine_defaults.h"
#include "config/store_settings.h"
#include "s3overlay/redact.h"

namespace s3overlay {
namespace {

constexpr SizeOrPercent kDefaultMinFree{.percent = 10, .is_percent = true};

Error Invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

// The value of an option that is read before the others, because it says where they are.
std::string EarlyValue(std::string_view option, const Settings& flags, const Environment& environment) {
  const auto flag = flags.find(option);
  if (flag != flags.end() && !flag->second.values.empty()) return flag->second.values.back();
  return ValueOf(environment, EnvironmentName(option));
}

// The path of such an option, or "". Absolute: a daemon's working directory is another.
std::string EarlyPath(std::string_view option, const Settings& flags, const Environment& environment) {
  const std::string path = EarlyValue(option, flags, environment);
  return path.empty() ? "" : AbsolutePath(path);
}

// What the process has, the file beneath it, and how to read the file again.
Result<void> SetEnvironment(const Settings& flags, Environment process, MountConfig& config) {
  config.environment = std::move(process);
  config.env_file = EarlyPath("env-file", flags, config.environment);
  if (config.env_file.empty()) return {};
  const Result<Environment> of_file = ReadEnvFile(config.env_file);
  if (!of_file) return Invalid("--env-file: " + of_file.error().message);
  config.reload_environment = [own = config.environment, path = config.env_file]() -> std::optional<Environment> {
    const Result<Environment> now = ReadEnvFile(path);
    if (!now) return std::nullopt;
    return MergeEnvFile(own, *now);
  };
  config.environment = MergeEnvFile(std::move(config.environment), *of_file);
  return {};
}

Result<ConfigFile> ReadConfigFile(const std::string& path) {
  if (path.empty()) return ConfigFile{};
  const Result<std::string> text = ReadTextFile(path);
  if (!text) return Invalid("--config: " + text.error().message);
  return ParseConfigFile(*text, path);
}

// Flags over environment over file, each option whole: layers of two places never mix.
Settings MergeSettings(const Settings& flags, const Settings& environment, const Settings& file) {
  Settings merged = flags;
  merged.insert(environment.begin(), environment.end());
  merged.insert(file.begin(), file.end());
  return merged;
}

Result<LayerSpec> MakeLayer(const LayerTable& table, const StoreSettings& base) {
  Result<LayerSpec> layer = ParseLayerSpec(table.spec);
  if (!layer) return layer;
  if (!table.at.empty()) {
    if (!layer->at.empty()) return Invalid("the place is given twice, in 'at' and before '=' in 'spec'");
    Result<std::string> at = ParseSubPath(table.at);
    if (!at) return at.error();
    layer->at = *std::move(at);
  }
  if (!layer->is_s3) return layer;
  Result<StoreConfig> store = MakeStore(base, {table.endpoint, table.region, table.addressing});
  if (!store) return store.error();
  layer->store = *std::move(store);
  return layer;
}

Result<void> AddFileLayers(const std::vector<LayerTable>& tables, const StoreSettings& base, ConfigDraft& draft) {
  for (const LayerTable& table : tables) {
    Result<LayerSpec> layer = MakeLayer(table, base);
    if (!layer) return Invalid(fmt::format("{}: {}", table.origin, layer.error().message));
    draft.layers.push_back(*std::move(layer));
  }
  return {};
}

// A draft from all places, with the store's settings but without the defaults that only a mount needs.
struct LoadedDraft {
  ConfigDraft draft;
  ConfigFile file;
  bool has_own_layers = false;  // Of the flags or the environment: those of the file do not count then.
  StoreSettings store;
};

Result<LoadedDraft> LoadDraft(const Settings& flags, Environment process_environment, LogLevel log_level) {
  LoadedDraft loaded;
  MountConfig& config = loaded.draft.config;
  config.log.level = log_level;
  config.ownership = {.uid = ::geteuid(), .gid = ::getegid()};
  S3OVERLAY_RETURN_IF_ERROR(SetEnvironment(flags, std::move(process_environment), config));
  config.config_file = EarlyPath("config", flags, config.environment);
  Result<ConfigFile> file = ReadConfigFile(config.config_file);
  if (!file) return file.error();
  loaded.file = *std::move(file);
  const Settings settings = MergeSettings(flags, SettingsOf(config.environment), loaded.file.settings);
  S3OVERLAY_RETURN_IF_ERROR(ApplySettings(settings, loaded.draft));
  loaded.has_own_layers = settings.contains("layer");
  config.default_bucket = DefaultBucket(config.environment);
  loaded.store = {loaded.draft.endpoint, loaded.draft.region, config.store, &config.environment};
  Result<StoreConfig> store = MakeStore(loaded.store, {});
  if (!store) return store.error();
  config.store = *std::move(store);
  loaded.store.environment = nullptr;  // It points into what is about to be moved.
  return loaded;
}

// What `mount SPEC DIR` means, and `mount DIR` where the environment names a bucket.
Result<void> AddShortLayers(const std::string& spec, ConfigDraft& draft) {
  Result<LayerSpec> layer = ParseLayerSpec(spec);
  if (!layer) return layer.error();
  if (!layer->is_s3) {
    return Invalid(
        fmt::format("'{}' is no s3://bucket[/prefix]; give local directories with --layer", RedactUrl(spec)));
  }
  draft.layers.push_back(*std::move(layer));
  LayerSpec covered;
  covered.text = covered.directory = draft.config.mountpoint;
  covered.is_covered = true;
  draft.layers.push_back(std::move(covered));
  return {};
}

Result<void> AddLayers(const std::string& short_spec, LoadedDraft& loaded) {
  ConfigDraft& draft = loaded.draft;
  if (!short_spec.empty() && loaded.has_own_layers) {
    return Invalid(fmt::format("'{}' and --layer: give every layer with --layer", RedactUrl(short_spec)));
  }
  if (!short_spec.empty()) return AddShortLayers(short_spec, draft);
  if (loaded.has_own_layers) return {};
  if (!loaded.file.layers.empty()) return AddFileLayers(loaded.file.layers, loaded.store, draft);
  if (!draft.config.default_bucket.empty()) return AddShortLayers("s3://" + draft.config.default_bucket, draft);
  return Invalid("nothing to mount; write: s3overlay mount s3://bucket/prefix MOUNTPOINT, or give layers with --layer");
}

// Layers that the file does not describe one by one use the store of the whole.
void FinishLayers(ConfigDraft& draft) {
  MountConfig& config = draft.config;
  config.layers = std::move(draft.layers);
  for (LayerSpec& layer : config.layers) {
    if (layer.is_s3 && layer.store.endpoint.empty()) layer.store = config.store;
    if (!layer.is_s3 && layer.directory == config.mountpoint) layer.is_covered = true;
  }
}

void FinishCache(const ConfigDraft& draft, MountConfig& config) {
  config.memory_limit = draft.memory_limit.value_or(DefaultMemoryLimit());
  CacheConfig& cache = config.cache;
  if (!cache.enabled) return;
  cache.dir = draft.cache_dir.empty() ? DefaultCacheDir(config.mountpoint, config.environment) : draft.cache_dir;
  cache.size_limit = draft.cache_size ? *draft.cache_size : DefaultCacheSize(cache.dir);
  cache.min_free = draft.cache_min_free.value_or(kDefaultMinFree).Of(FileSystemSize(cache.dir));
}

// Absolute and, but for its last component, without links: every name of one mountpoint leads to the same cache.
std::string CanonicalMountpoint(const std::string& typed) {
  const std::filesystem::path path = AbsolutePath(typed);
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::canonical(path.parent_path(), error);
  return error || !path.has_filename() ? path : parent / path.filename();
}

}  // namespace

Result<MountConfig> LoadMountConfig(const CommandLine& line, Environment process_environment) {
  if (line.mountpoint.empty()) return Invalid("a mountpoint is missing");
  Result<LoadedDraft> loaded = LoadDraft(line.options, std::move(process_environment), LogLevel::kInfo);
  if (!loaded) return loaded.error();
  ConfigDraft& draft = loaded->draft;
  loaded->store.environment = &draft.config.environment;
  draft.config.mountpoint = CanonicalMountpoint(line.mountpoint);
  S3OVERLAY_RETURN_IF_ERROR(AddLayers(line.short_spec, *loaded));
  FinishLayers(draft);
  FinishCache(draft, draft.config);
  draft.config.log.to_syslog = !draft.config.foreground && draft.config.log.file.empty();
  return std::move(draft.config);
}

Result<MountConfig> LoadToolConfig(const Settings& options, Environment process_environment) {
  // What goes wrong is the command's own message; a log beside it would say it twice.
  Result<LoadedDraft> loaded = LoadDraft(options, std::move(process_environment), LogLevel::kOff);
  if (!loaded) return loaded.error();
  MountConfig config = std::move(loaded->draft.config);
  config.log.file.clear();
  config.cache.enabled = false;
  config.memory_limit = DefaultMemoryLimit();
  return config;
}

}  // namespace s3overlay
