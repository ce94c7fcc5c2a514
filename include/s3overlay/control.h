// SPDX-License-Identifier: Apache-2.0
//
// MountControl: what the command line asks of a running mount. app/ answers it in the daemon; control/ carries it over
// a unix socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3overlay/block_cache.h"
#include "s3overlay/call_context.h"
#include "s3overlay/file_source.h"
#include "s3overlay/result.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

// What one layer said about a path.
struct LayerAnswer {
  std::string spec;             // The layer, as the user wrote it.
  std::string answer;           // "yes", "no", "unavailable", "not asked"
  std::string error;            // Empty unless unavailable.
  std::optional<double> age_s;  // Seconds since the store said so; nothing for local layers and unknown ages.
};

// Which source serves a path, and why.
struct Resolution {
  std::string path;        // Relative to the mountpoint.
  std::string mountpoint;  // Empty where there is no mount.
  Entry entry;
  CacheShare cache;
  bool passthrough = false;  // The next open would be passed through to the kernel.
  std::vector<LayerAnswer> layers;
};

// Thread-safe.
class MountControl {
 public:
  virtual ~MountControl() = default;
  virtual StatusObject GetStatus() = 0;
  virtual Result<Resolution> Resolve(std::string_view path, const CallContext& context) = 0;
  virtual Result<BlockCacheStats> GetCacheStats() = 0;
  virtual Result<void> ClearCache() = 0;
  virtual Result<CacheVerifyReport> VerifyCache(const CallContext& context) = 0;
};

}  // namespace s3overlay
