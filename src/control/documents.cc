// SPDX-License-Identifier: Apache-2.0
#include "control/documents.h"

#include "control/json_values.h"

namespace s3overlay {
namespace {

Json NewDocument() { return {{"schema", 1}}; }

std::string Print(const Json& document) { return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json ToJson(const LayerAnswer& layer) {
  return {{"spec", layer.spec},
          {"answer", layer.answer},
          {"error", layer.error.empty() ? Json() : Json(layer.error)},
          {"age_s", layer.age_s ? Json(*layer.age_s) : Json()}};
}

Json ToJson(const CacheOwner& owner) { return {{"pid", owner.pid}, {"mountpoint", owner.mountpoint}}; }

}  // namespace

std::string StatusToJson(const StatusObject& status) {
  Json document = NewDocument();
  document.update(ToJson(status));
  return Print(document);
}

std::string ResolutionToJson(const Resolution& resolution) {
  const Entry& entry = resolution.entry;
  Json document = NewDocument();
  document["path"] = resolution.path;
  document["mountpoint"] = resolution.mountpoint.empty() ? Json() : Json(resolution.mountpoint);
  document["type"] = FileTypeName(entry.attributes.type);
  document["source"] = entry.source;
  document["layer"] = entry.layer;
  document["state"] = FileStateName(entry.state);
  document["reason"] = entry.reason.empty() ? Json() : Json(entry.reason);
  document["etag"] = entry.etag.empty() ? Json() : Json(entry.etag);
  document["size"] = entry.attributes.size;
  document["mtime"] = FormatTime(entry.attributes.mtime);
  document["cached_bytes"] = resolution.cache.bytes;
  document["complete"] = resolution.cache.complete;
  document["passthrough"] = resolution.passthrough;
  document["layers"] = Json::array();
  for (const LayerAnswer& layer : resolution.layers) document["layers"].push_back(ToJson(layer));
  return Print(document);
}

std::string CacheStatsToJson(const BlockCacheStats& stats, const std::optional<CacheOwner>& owner) {
  Json document = NewDocument();
  VisitCacheStats(stats, [&](const char* name, const auto& field) { document[name] = field; });
  document["owner"] = owner ? ToJson(*owner) : Json();
  // Limits are those of a mount, not of what lies on the disk.
  if (!owner) document["size_limit"] = document["min_free"] = Json();
  return Print(document);
}

std::string VerifyReportToJson(const CacheVerifyReport& report) {
  Json document = NewDocument();
  document.update(ToJson(report));
  return Print(document);
}

}  // namespace s3overlay
