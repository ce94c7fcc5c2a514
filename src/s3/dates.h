// SPDX-License-Identifier: Apache-2.0
//
// The spellings of time that S3 uses. All are UTC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "s3overlay/clock.h"

namespace s3overlay::s3 {

// "Sun, 06 Nov 1994 08:49:37 GMT", the form that RFC 7231 section 7.1.1.1 demands of servers.
std::optional<WallTime> ParseHttpDate(std::string_view text);

// "2013-09-17T18:07:53.000Z", as in the XML of lists; the fraction may be missing.
std::optional<WallTime> ParseIsoDate(std::string_view text);

std::string FormatIsoDate(WallTime time);      // "2013-09-17T18:07:53Z"
std::string FormatSigningTime(WallTime time);  // "20130917T180753Z"

}  // namespace s3overlay::s3
