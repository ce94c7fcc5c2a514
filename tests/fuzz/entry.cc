// SPDX-License-Identifier: Apache-2.0
//
// The entry of a libFuzzer program; S3OVERLAY_FUZZ_TARGET names its function.
#include "fuzz/targets.h"
#include "s3overlay/log.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  (void)s3overlay::StartLogging(
      {.level = s3overlay::LogLevel::kOff, .format = s3overlay::LogFormat::kText, .file = {}});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  s3overlay::fuzz::S3OVERLAY_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
