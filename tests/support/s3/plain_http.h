// SPDX-License-Identifier: Apache-2.0
//
// One request over a TCP connection of its own, for what the transport under test does not offer (DELETE). Plain HTTP
// to an IPv4 address only.
#pragma once

#include "s3overlay/http_transport.h"

namespace s3overlay::testing {

// The status of the answer; 0 when there was none within 20 s.
int SendPlainHttp(const HttpRequest& request);

}  // namespace s3overlay::testing
