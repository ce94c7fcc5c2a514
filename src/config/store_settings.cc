// SPDX-License-Identifier: Apache-2.0
#include "config/store_settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>

#include "config/environment.h"
#include "config/option_table.h"

namespace s3overlay {
namespace {

constexpr const char* kDefaultRegion = "us-east-1";

Error Invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

std::string FirstOf(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    if (std::string value = ValueOf(environment, name); !value.empty()) return value;
  }
  return "";
}

// The credential chain takes OVH's keys first. Without keys of anybody, OVH's endpoint is as good as AWS's.
bool IsOvhMeant(const Environment& environment, bool anonymous) {
  if (!FirstOf(environment, {"OVH_S3_ACCESS_KEY", "OVH_S3_SECRET_KEY"}).empty()) return true;
  return anonymous || FirstOf(environment, {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}).empty();
}

std::string EndpointOfEnvironment(const Environment& environment, bool ovh) {
  const std::string endpoint = ovh ? ValueOf(environment, "OVH_S3_ENDPOINT") : "";
  return endpoint.empty() ? FirstOf(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) : endpoint;
}

std::string RegionOfEnvironment(const Environment& environment, bool ovh) {
  const std::string region = ovh ? ValueOf(environment, "OVH_S3_REGION") : "";
  return region.empty() ? FirstOf(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"}) : region;
}

// It becomes part of a host name and of what is signed.
bool CanBeRegion(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

std::string FirstSet(std::initializer_list<std::string> values) {
  const auto* const found =
      std::find_if(values.begin(), values.end(), [](const auto& value) { return !value.empty(); });
  return found == values.end() ? "" : *found;
}

Result<void> CheckCaBundle(const std::string& path) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return {};
  return Invalid(fmt::format("--ca-bundle: cannot read {}", path));
}

// The spelling is that of the option; its row in the table knows it.
Result<Addressing> ParseAddressing(const std::string& text) {
  ConfigDraft draft;
  S3OVERLAY_RETURN_IF_ERROR(FindOption("addressing")->apply(text, draft));
  return draft.config.store.addressing;
}

}  // namespace

Result<StoreConfig> MakeStore(const StoreSettings& settings, const StoreOverrides& overrides) {
  const Environment& environment = *settings.environment;
  StoreConfig store = settings.rest;
  const bool ovh = IsOvhMeant(environment, store.anonymous);
  store.region = FirstSet({overrides.region, settings.region, RegionOfEnvironment(environment, ovh), kDefaultRegion});
  if (!CanBeRegion(store.region)) return Invalid(fmt::format("--region: '{}' is no name of a region", store.region));
  const std::string endpoint = FirstSet({overrides.endpoint, settings.endpoint, EndpointOfEnvironment(environment, ovh),
                                         fmt::format("https://s3.{}.amazonaws.com", store.region)});
  Result<std::string> normalized = NormalizeEndpoint(endpoint);
  if (!normalized) return Invalid("--endpoint: " + normalized.error().message);
  store.endpoint = *std::move(normalized);
  if (!overrides.addressing.empty()) {
    const Result<Addressing> addressing = ParseAddressing(overrides.addressing);
    if (!addressing) return addressing.error();
    store.addressing = *addressing;
  }
  S3OVERLAY_RETURN_IF_ERROR(CheckCaBundle(store.ca_bundle));
  return store;
}

std::string DefaultBucket(const Environment& environment) {
  return FirstOf(environment, {"OVH_S3_BUCKET", "S3_BUCKET"});
}

}  // namespace s3overlay
