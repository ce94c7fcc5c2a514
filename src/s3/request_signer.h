// SPDX-License-Identifier: Apache-2.0
//
// Signature Version 4 of a request to S3.
//
// Source: S3 user guide, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
#pragma once

#include <string_view>

#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

struct SigningScope {
  std::string_view region;
  WallTime now{};  // The store's time, as well as it is known.
};

// `request` with x-amz-date, x-amz-content-sha256, x-amz-security-token where there is one, and Authorization added.
// All its headers and its Host are covered. Its URL is encoded as s3/uri does and is sent as it stands. The result
// holds secrets: never log its headers. kSystem when the cryptographic library fails.
Result<HttpRequest> SignRequest(HttpRequest request, const Credentials& credentials, const SigningScope& scope);

}  // namespace s3overlay::s3
