// SPDX-License-Identifier: Apache-2.0
//
// XML from a sender that nobody vouches for: how much of it is taken in, and what its text says. Used by wire_format
// alone, so that no other file sees the parser.
//
// Source: XML 1.0, sections 2.4 (character data), 4.1 (references) and 4.6 (predefined entities). A document type and
// the entities that it declares are skipped, so that no reference ever grows.
#pragma once

#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>

namespace s3overlay::s3 {

// False for what is no XML, and for what holds more elements and attributes than an answer of S3 has use for: each
// costs some 64 bytes, and four bytes are enough to write one.
bool LoadXml(std::string_view body, pugi::xml_document* document);

// The whole text of an element, its references resolved; "" where there is no such element. Nothing where it holds
// elements or a reference that XML does not define. A NUL written as a reference is kept: a text is never cut at one.
std::optional<std::string> TextOf(const pugi::xml_node& element);

}  // namespace s3overlay::s3
