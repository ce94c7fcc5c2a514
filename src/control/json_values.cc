// SPDX-License-Identifier: Apache-2.0
#include "control/json_values.h"

#include <type_traits>
#include <variant>

namespace s3overlay {

Json ToJson(const StatusValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<Held, StatusList>) {
          Json list = Json::array();
          for (const StatusValue& element : held) list.push_back(ToJson(element));
          return list;
        } else if constexpr (std::is_same_v<Held, StatusObject>) {
          return ToJson(held);
        } else {
          return held;
        }
      },
      value.value);
}

Json ToJson(const StatusObject& object) {
  Json json = Json::object();
  for (const auto& [name, value] : object) json[name] = ToJson(value);
  return json;
}

Json ToJson(const CacheVerifyReport& report) {
  Json json = Json::object();
  VisitVerifyReport(report, [&](const char* name, uint64_t field) { json[name] = field; });
  return json;
}

}  // namespace s3overlay
