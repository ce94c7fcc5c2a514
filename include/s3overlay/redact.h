// SPDX-License-Identifier: Apache-2.0
//
// What may be shown of a text that a user gave as an address, or that an address is quoted from.
#pragma once

#include <string>
#include <string_view>

namespace s3overlay {

// A URL without user and password, and without its query, which holds the signature of a presigned one. A text that is
// no URL is returned as it is.
std::string RedactUrl(std::string_view url);

}  // namespace s3overlay
