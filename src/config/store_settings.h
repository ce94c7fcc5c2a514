// SPDX-License-Identifier: Apache-2.0
//
// Which store is meant: endpoint and region out of options and environment.
#pragma once

#include <string>

#include "config/mount_config.h"
#include "s3overlay/result.h"

namespace s3overlay {

// The settings of the whole. Endpoint and region are empty where no option names them.
struct StoreSettings {
  std::string endpoint;
  std::string region;
  StoreConfig rest;                          // Everything but these two.
  const Environment* environment = nullptr;  // Outlives the call.
};

// What one layer wants otherwise; empty: as the whole.
struct StoreOverrides {
  std::string endpoint;
  std::string region;
  std::string addressing;
};

// Endpoint: option, OVH_S3_ENDPOINT where that family's keys are used, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS's own
// of the region. Region: option, OVH_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION, us-east-1. A store is never asked with
// the endpoint of one family and keys of the other while both are known. kInvalidArgument.
Result<StoreConfig> MakeStore(const StoreSettings& settings, const StoreOverrides& overrides);

// OVH_S3_BUCKET or S3_BUCKET; "" where neither is set.
std::string DefaultBucket(const Environment& environment);

}  // namespace s3overlay
