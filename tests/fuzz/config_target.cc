// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "config/config_file.h"
#include "config/environment.h"
#include "config/layer_spec.h"
#include "config/load_config.h"
#include "config/values.h"
#include "fuzz/targets.h"
#include "s3/addressing.h"
#include "s3/uri.h"

namespace s3overlay::fuzz {
namespace {

void CheckEnvFile(std::string_view text) {
  Result<Environment> environment = ParseEnvFile(text, "file");
  if (!environment) {
    // A line may hold a secret: what is wrong with it is said in these words, whatever stands in it.
    const std::string& message = environment.error().message;
    S3OVERLAY_FUZZ_CHECK(message.starts_with("file:") && message.ends_with("(quotes closed, nothing after them)"));
    return;
  }
  // Files of whatever name are not read here.
  for (const char* name : {"S3OVERLAY_CONFIG", "S3OVERLAY_ENV_FILE"}) environment->erase(name);
  (void)LoadToolConfig({}, *std::move(environment));
}

void CheckLayer(std::string_view text) {
  const Result<LayerSpec> layer = ParseLayerSpec(text);
  if (!layer) return;
  for (const std::string& path : {layer->at, layer->directory}) {
    const std::string framed = "/" + path + "/";
    S3OVERLAY_FUZZ_CHECK(framed.find("/../") == std::string::npos && framed.find("/./") == std::string::npos);
  }
  S3OVERLAY_FUZZ_CHECK(!layer->at.starts_with('/') && !layer->prefix.starts_with('/'));
  S3OVERLAY_FUZZ_CHECK(layer->is_s3 != layer->bucket.empty());
}

void CheckEndpoint(std::string_view text) {
  const Result<std::string> endpoint = NormalizeEndpoint(text);
  if (!endpoint) return;
  S3OVERLAY_FUZZ_CHECK(NormalizeEndpoint(*endpoint) && *NormalizeEndpoint(*endpoint) == *endpoint);
  S3OVERLAY_FUZZ_CHECK(endpoint->find_first_of("@?#\r\n ") == std::string::npos);
}

}  // namespace

void FuzzConfig(std::string_view input) {
  InputReader reader(input);
  const uint8_t kind = reader.Byte();
  const std::string_view text = reader.rest();
  switch (kind % 6) {
    case 0: (void)ParseConfigFile(text, "file"); return;
    case 1: CheckEnvFile(text); return;
    case 2: CheckLayer(text); return;
    case 3: CheckEndpoint(text); return;
    case 4:
      (void)ParseSize(text);
      (void)ParseSizeOrPercent(text);
      (void)ParseDuration(text);
      (void)ParseNumber(text, 8, 0777);
      (void)ParseSubPath(text);
      return;
    default:
      (void)ParseS3Uri(text);
      S3OVERLAY_FUZZ_CHECK(s3::DecodeComponent(s3::EncodeComponent(text)) == std::string(text));
      (void)s3::DecodeComponent(text);
  }
}

}  // namespace s3overlay::fuzz
