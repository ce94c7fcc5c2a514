// SPDX-License-Identifier: Apache-2.0
//
// MountConfig: every setting of a mount, in plain checked types. What config makes out of the command line, the
// environment and the configuration file, and the only thing that app composes from. Paths are absolute.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "overlay/outage_policy.h"
#include "s3/addressing.h"
#include "s3overlay/clock.h"
#include "s3overlay/log.h"

namespace s3overlay {

// Names to values: of the process, and beneath it of --env-file (MergeEnvFile).
using Environment = std::map<std::string, std::string>;

// How a store is reached. Layers with equal ones share a store, a breaker and a lane.
struct StoreConfig {
  std::string endpoint;  // Normalised (NormalizeEndpoint).
  std::string region = "us-east-1";
  Addressing addressing = Addressing::kAuto;
  bool anonymous = false;  // Requests are not signed.
  std::string ca_bundle;   // Empty: the system's authorities.

  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// One layer: an S3 prefix or a local directory.
struct LayerSpec {
  std::string text;  // As the user wrote it, without SUBPATH=; for messages.
  std::string at;    // Its place below the mountpoint, without leading or trailing slash; "" is the root.
  bool is_s3 = false;

  // Of S3 layers.
  std::string bucket;
  std::string prefix;  // Without leading or trailing slash; "" is the whole bucket.
  StoreConfig store;

  // Of local ones.
  std::string directory;
  bool is_covered = false;  // It is the mountpoint itself: to be opened before the mount covers it.
};

struct CacheConfig {
  bool enabled = true;
  std::string dir;
  uint64_t size_limit = 0;          // Bytes.
  uint64_t min_free = 0;            // Bytes of the file system that stay free.
  uint64_t block_size = 128 << 10;  // Bytes.
};

// What files and directories look like, and who may see them.
struct OwnershipConfig {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t file_mode = 0444;
  mode_t dir_mode = 0555;
};

struct MountConfig {
  std::string mountpoint;         // Empty for the tools, which need no mount.
  std::vector<LayerSpec> layers;  // Highest priority first. Never empty for a mount.

  StoreConfig store;           // What --endpoint and its like say; for the tools.
  std::string default_bucket;  // Of OVH_S3_BUCKET or S3_BUCKET; may be empty.
  std::string config_file;     // --config and
  std::string env_file;        // --env-file; empty without.
  Environment environment;     // Where credentials are looked for.
  // The environment with what --env-file holds by then; nothing where that cannot be read. Empty without such a file.
  std::function<std::optional<Environment>()> reload_environment;

  CacheConfig cache;
  uint64_t memory_limit = 0;  // Bytes, of blocks in memory.

  Duration metadata_ttl = std::chrono::seconds(60);
  Duration negative_ttl = std::chrono::seconds(5);
  Duration op_timeout = std::chrono::seconds(30);

  OnOutage on_outage = OnOutage::kFallback;
  bool local_follow = false;  // Enter links that lead out of a local layer.
  bool xattr = true;
  bool passthrough = true;

  OwnershipConfig ownership;
  bool allow_other = false;
  std::vector<std::string> mount_options;  // As after -o, one each; allow_other is not among them.

  bool foreground = false;
  LogOptions log;  // to_syslog: in the background without a file.
};

}  // namespace s3overlay
