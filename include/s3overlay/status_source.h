// SPDX-License-Identifier: Apache-2.0
//
// StatusSource: what a room tells `status` about itself. A small tree of values, so that no room needs JSON for it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace s3overlay {

struct StatusValue;
using StatusList = std::vector<StatusValue>;
using StatusObject = std::vector<std::pair<std::string, StatusValue>>;  // In the order in which it is shown.

// std::monostate is JSON's null.
struct StatusValue {
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, StatusList, StatusObject> value;
};

// The type contains itself through std::pair. Naming a value here makes clang complete both in the one order that
// works.
static_assert(sizeof(StatusValue{}) > 0);

// Thread-safe; answers from memory, without waiting.
class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual StatusObject GetStatus() const = 0;
};

}  // namespace s3overlay
