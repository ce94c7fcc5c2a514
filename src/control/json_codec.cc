// SPDX-License-Identifier: Apache-2.0
#include "control/json_codec.h"

#include <fmt/format.h>

#include <charconv>
#include <concepts>
#include <utility>

#include "control/json_values.h"

namespace s3overlay {
namespace {

// Bytes that are no UTF-8 make dump() throw: so it is asked.
bool IsUtf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

Json BytesToJson(const std::string& bytes) {
  if (IsUtf8(bytes)) return bytes;
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return Json{{"hex", hex}};
}

std::string BytesFromJson(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  const std::string hex = json.at("hex").get<std::string>();
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// Nothing that is sent here nests deeply, and what reads it goes down as deep as it does.
constexpr int kMaxDepth = 32;

// Throws Json::exception for what is no JSON.
Json ParseLine(std::string_view line) {
  const auto keep_shallow = [](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth) throw Json::other_error::create(501, "it nests too deeply", nullptr);
    return true;
  };
  return Json::parse(line, keep_shallow);
}

std::string ToLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// The enumerator whose name is `name`; `fallback` where there is none.
template <typename Enum, typename NameOf>
Enum FromName(const std::string& name, Enum last, Enum fallback, NameOf name_of) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return fallback;
}

// --- Encoding results

Json ResultToJson(const StatusObject& status) { return ToJson(status); }

Json ResultToJson(const CacheVerifyReport& report) { return ToJson(report); }

Json ResultToJson(const BlockCacheStats& stats) {
  Json json;
  VisitCacheStats(stats, [&](const char* name, const auto& field) { json[name] = field; });
  json["dir"] = BytesToJson(stats.dir);
  return json;
}

Json AttributesToJson(const FileAttributes& attributes) {
  Json json = {{"type", FileTypeName(attributes.type)},
               {"size", attributes.size},
               {"allocated", attributes.allocated},
               {"mtime_ns", attributes.mtime.time_since_epoch().count()}};
  json["mode"] = attributes.mode ? Json(*attributes.mode) : Json();
  return json;
}

Json EntryToJson(const Entry& entry) {
  return {{"attributes", AttributesToJson(entry.attributes)},
          {"path", BytesToJson(entry.path)},
          {"source", BytesToJson(entry.source)},
          {"version", BytesToJson(entry.version)},
          {"etag", BytesToJson(entry.etag)},
          {"immutable", entry.immutable},
          {"readable", entry.readable},
          {"state", FileStateName(entry.state)},
          {"reason", BytesToJson(entry.reason)},
          {"layer", entry.layer},
          {"ttl_ns", entry.ttl.count()}};
}

Json LayerToJson(const LayerAnswer& layer) {
  return {{"spec", BytesToJson(layer.spec)},
          {"answer", layer.answer},
          {"error", BytesToJson(layer.error)},
          {"age_s", layer.age_s ? Json(*layer.age_s) : Json()}};
}

Json ResultToJson(const Resolution& resolution) {
  Json layers = Json::array();
  for (const LayerAnswer& layer : resolution.layers) layers.push_back(LayerToJson(layer));
  return {{"path", BytesToJson(resolution.path)},
          {"mountpoint", BytesToJson(resolution.mountpoint)},
          {"entry", EntryToJson(resolution.entry)},
          {"cached_bytes", resolution.cache.bytes},
          {"complete", resolution.cache.complete},
          {"passthrough", resolution.passthrough},
          {"layers", std::move(layers)}};
}

std::string EncodeError(const Error& error) {
  const Json fields = {{"code", ErrorCodeName(error.code)}, {"message", error.message}, {"errno", error.sys_errno}};
  return ToLine({{"ok", false}, {"error", fields}});
}

template <typename T>
std::string EncodeResult(const Result<T>& answer) {
  if (!answer) return EncodeError(answer.error());
  return ToLine({{"ok", true}, {"result", ResultToJson(*answer)}});
}

// --- Decoding results. These throw Json::exception where the JSON is not what it should be.

// A whole number that T can hold. The library would cast fractions, and numbers of any size.
template <std::integral T>
T WholeNumber(const Json& json) {
  const auto take = [](auto number) {
    if (!std::in_range<T>(number)) throw Json::other_error::create(501, "a number is out of range", nullptr);
    return static_cast<T>(number);
  };
  if (json.is_number_unsigned()) return take(json.get<uint64_t>());
  if (json.is_number_integer()) return take(json.get<int64_t>());
  throw Json::other_error::create(501, fmt::format("where a whole number belongs is a {}", json.type_name()), nullptr);
}

void TakeField(const Json& json, std::string& field) { field = BytesFromJson(json); }

void TakeField(const Json& json, bool& field) { json.get_to(field); }

template <std::integral T>
void TakeField(const Json& json, T& field) {
  field = WholeNumber<T>(json);
}

StatusValue StatusValueFromJson(const Json& json);

StatusObject StatusObjectFromJson(const Json& json) {
  StatusObject object;
  for (const auto& [name, value] : json.get_ref<const Json::object_t&>()) {
    object.emplace_back(name, StatusValueFromJson(value));
  }
  return object;
}

StatusList StatusListFromJson(const Json& json) {
  StatusList list;
  for (const Json& value : json) list.push_back(StatusValueFromJson(value));
  return list;
}

StatusValue StatusValueFromJson(const Json& json) {
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number_unsigned()) return {json.get<uint64_t>()};
  if (json.is_number_integer()) return {json.get<int64_t>()};
  if (json.is_number()) return {json.get<double>()};
  if (json.is_string()) return {json.get<std::string>()};
  if (json.is_array()) return {StatusListFromJson(json)};
  if (json.is_object()) return {StatusObjectFromJson(json)};
  return {};
}

void FromJson(const Json& json, StatusObject& status) { status = StatusObjectFromJson(json); }

void FromJson(const Json& json, CacheVerifyReport& report) {
  VisitVerifyReport(report, [&](const char* name, auto& field) { TakeField(json.at(name), field); });
}

void FromJson(const Json& json, BlockCacheStats& stats) {
  VisitCacheStats(stats, [&](const char* name, auto& field) { TakeField(json.at(name), field); });
}

FileAttributes AttributesFromJson(const Json& json) {
  FileAttributes attributes;
  attributes.type =
      FromName(json.at("type").get<std::string>(), FileType::kBlockDevice, FileType::kSocket, FileTypeName);
  TakeField(json.at("size"), attributes.size);
  TakeField(json.at("allocated"), attributes.allocated);
  attributes.mtime = WallTime(Duration(WholeNumber<int64_t>(json.at("mtime_ns"))));
  if (const Json& mode = json.at("mode"); !mode.is_null()) attributes.mode = WholeNumber<uint32_t>(mode);
  return attributes;
}

Entry EntryFromJson(const Json& json) {
  Entry entry;
  entry.attributes = AttributesFromJson(json.at("attributes"));
  entry.path = BytesFromJson(json.at("path"));
  entry.source = BytesFromJson(json.at("source"));
  entry.version = BytesFromJson(json.at("version"));
  entry.etag = BytesFromJson(json.at("etag"));
  TakeField(json.at("immutable"), entry.immutable);
  TakeField(json.at("readable"), entry.readable);
  // A state that is not known here is at least not called fresh.
  const std::string state = json.at("state").get<std::string>();
  entry.state = FromName(state, FileState::kStale, FileState::kDegraded, FileStateName);
  entry.reason = BytesFromJson(json.at("reason"));
  TakeField(json.at("layer"), entry.layer);
  entry.ttl = Duration(WholeNumber<int64_t>(json.at("ttl_ns")));
  return entry;
}

LayerAnswer LayerFromJson(const Json& json) {
  LayerAnswer layer;
  layer.spec = BytesFromJson(json.at("spec"));
  json.at("answer").get_to(layer.answer);
  layer.error = BytesFromJson(json.at("error"));
  if (const Json& age = json.at("age_s"); !age.is_null()) layer.age_s = age.get<double>();
  return layer;
}

void FromJson(const Json& json, Resolution& resolution) {
  resolution.path = BytesFromJson(json.at("path"));
  resolution.mountpoint = BytesFromJson(json.at("mountpoint"));
  resolution.entry = EntryFromJson(json.at("entry"));
  TakeField(json.at("cached_bytes"), resolution.cache.bytes);
  TakeField(json.at("complete"), resolution.cache.complete);
  TakeField(json.at("passthrough"), resolution.passthrough);
  for (const Json& layer : json.at("layers")) resolution.layers.push_back(LayerFromJson(layer));
}

Error ErrorFromJson(const Json& json) {
  Error error;
  const std::string code = json.at("code").get<std::string>();
  error.code = FromName(code, ErrorCode::kSystem, ErrorCode::kBadResponse, ErrorCodeName);
  json.at("message").get_to(error.message);
  TakeField(json.at("errno"), error.sys_errno);
  return error;
}

// The "result" of an answer, or the error in it.
Result<Json> OpenAnswer(std::string_view line) {
  const Json answer = ParseLine(line);
  if (!answer.at("ok").get<bool>()) return ErrorFromJson(answer.at("error"));
  return answer.at("result");
}

Error NoAnswer(const Json::exception& exception) {
  return Error{ErrorCode::kBadResponse,
               fmt::format("the control socket's answer makes no sense: {}", exception.what())};
}

template <typename T>
Result<T> DecodeAnswer(std::string_view line) try {
  const Result<Json> json = OpenAnswer(line);
  if (!json) return json.error();
  T value;
  FromJson(*json, value);
  return value;
} catch (const Json::exception& exception) {
  return NoAnswer(exception);
}

}  // namespace

std::string EncodeRequest(const ControlRequest& request) {
  Json json = {{"call", request.call}};
  if (!request.path.empty()) json["path"] = BytesToJson(request.path);
  if (request.timeout_s) json["timeout_s"] = *request.timeout_s;
  return ToLine(json);
}

Result<ControlRequest> DecodeRequest(std::string_view line) try {
  const Json json = ParseLine(line);
  ControlRequest request;
  json.at("call").get_to(request.call);
  if (json.contains("path")) request.path = BytesFromJson(json.at("path"));
  if (json.contains("timeout_s")) request.timeout_s = json.at("timeout_s").get<double>();
  return request;
} catch (const Json::exception& exception) {
  return Error{ErrorCode::kInvalidArgument, fmt::format("this is no request: {}", exception.what())};
}

std::string EncodeAnswer(const Result<void>& answer) {
  if (!answer) return EncodeError(answer.error());
  return ToLine({{"ok", true}, {"result", nullptr}});
}
std::string EncodeAnswer(const Result<StatusObject>& answer) { return EncodeResult(answer); }
std::string EncodeAnswer(const Result<Resolution>& answer) { return EncodeResult(answer); }
std::string EncodeAnswer(const Result<BlockCacheStats>& answer) { return EncodeResult(answer); }
std::string EncodeAnswer(const Result<CacheVerifyReport>& answer) { return EncodeResult(answer); }

Result<void> DecodeDone(std::string_view line) try {
  const Result<Json> json = OpenAnswer(line);
  if (!json) return json.error();
  return {};
} catch (const Json::exception& exception) {
  return NoAnswer(exception);
}
Result<StatusObject> DecodeStatus(std::string_view line) { return DecodeAnswer<StatusObject>(line); }
Result<Resolution> DecodeResolution(std::string_view line) { return DecodeAnswer<Resolution>(line); }
Result<BlockCacheStats> DecodeCacheStats(std::string_view line) { return DecodeAnswer<BlockCacheStats>(line); }
Result<CacheVerifyReport> DecodeVerifyReport(std::string_view line) { return DecodeAnswer<CacheVerifyReport>(line); }

}  // namespace s3overlay
