// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/metrics.h"

namespace s3overlay {

const MetricDescription& Describe(Metric metric) {
  static constexpr std::array<MetricDescription, static_cast<size_t>(Metric::kCount)> kTable = {{
#define S3OVERLAY_METRIC_ROW(id, name, unit, help) {name, unit, help},
      S3OVERLAY_METRICS(S3OVERLAY_METRIC_ROW)
#undef S3OVERLAY_METRIC_ROW
  }};
  return kTable[static_cast<size_t>(metric)];
}

}  // namespace s3overlay
