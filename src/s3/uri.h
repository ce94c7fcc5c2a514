// SPDX-License-Identifier: Apache-2.0
//
// Percent-encoding as S3 wants it: what a signature covers and what a request line holds are the same bytes.
//
// Source: S3 user guide, "Authenticating requests (AWS Signature Version 4)", UriEncode; RFC 3986 section 2.3.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace s3overlay::s3 {

// Everything but A-Z a-z 0-9 - . _ ~ becomes %XX, '/' too.
std::string EncodeComponent(std::string_view text);

// The same, but '/' stays: keys keep their "//" and a leading '/'.
std::string EncodePath(std::string_view text);

// Undoes the encoding of a list that was asked for with encoding-type=url, where '+' stands for a space. Nothing when
// a '%' is not followed by two hexadecimal digits.
std::optional<std::string> DecodeComponent(std::string_view text);

}  // namespace s3overlay::s3
