// SPDX-License-Identifier: Apache-2.0
//
// What `resolve`, `cat`, `ls` and `status` do: with objects directly, without a mount; with paths through the mount
// that they lie below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "s3overlay/call_context.h"
#include "s3overlay/control.h"
#include "s3overlay/object_store.h"
#include "s3overlay/result.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

struct MountConfig;

// `subject`: s3://bucket/key (the object, else the directory of the keys below it), or a path below a mount. kNotFound:
// no such object, or no mount there. The `config` of all of these says how to reach the store: endpoint, region,
// addressing, credentials, time-out.
Result<Resolution> ResolveSubject(const MountConfig& config, const std::string& subject);

// What `cat` prints.
struct CatRequest {
  std::string subject;            // s3://bucket/key, a path, or a key of the bucket that the configuration names.
  std::optional<uint64_t> lines;  // Nothing: all of it.
  int out_fd = 1;
};

// Writes the bytes of one version of it to out_fd, and stops fetching once the lines are out or the reader has gone
// away, which is no error.
Result<void> Cat(const MountConfig& config, const CatRequest& request);

// One name below an S3 prefix; directories end in '/'.
struct ListedName {
  std::string name;
  bool is_directory = false;
  uint64_t size = 0;
  WallTime last_modified{};
};

// `spec`: s3://bucket[/prefix], or a key with nothing below it, which then is the one name. kNotFound where neither is.
Result<std::vector<ListedName>> ListObjects(const MountConfig& config, const std::string& spec);

// Status of the mount at `mountpoint`, by its control socket. kNotFound: nothing of ours is mounted there;
// kUnavailable: mounted, and its daemon does not answer.
Result<StatusObject> FetchStatusOf(const std::string& mountpoint);

}  // namespace s3overlay
