// SPDX-License-Identifier: Apache-2.0
#include "s3/xml_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace s3overlay::s3 {
namespace {

// Keys that are white space only are kept. References are not resolved by the parser: it would leave unknown ones as
// they stand, and end a text at a NUL.
constexpr unsigned kXmlOptions = pugi::parse_cdata | pugi::parse_ws_pcdata_single;

// A page of 1,000 entries has some 40 a piece at the most.
constexpr size_t kMaxMarkup = 250'000;

// How many elements and attributes there can be at the most: every tag has a '<', and every attribute a '=' before a
// quote.
size_t CountMarkup(std::string_view body) {
  size_t count = 0;
  for (size_t at = body.find_first_of("<="); at != std::string_view::npos; at = body.find_first_of("<=", at + 1)) {
    const size_t next = body[at] == '<' ? std::string_view::npos : body.find_first_not_of(" \t\r\n", at + 1);
    const bool is_attribute = next != std::string_view::npos && (body[next] == '"' || body[next] == '\'');
    if (body[at] == '<' || is_attribute) ++count;
  }
  return count;
}

void AppendUtf8(uint32_t code, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// "#10" or "#xA". Control characters are let through, as stores write keys that hold them so.
bool AppendCharacter(std::string_view number, std::string& text) {
  number.remove_prefix(1);
  const int base = number.starts_with('x') ? 16 : 10;
  if (base == 16) number.remove_prefix(1);
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code, base);
  if (number.empty() || error != std::errc() || end != number.data() + number.size()) return false;
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  AppendUtf8(code, text);
  return true;
}

// What stands between '&' and ';'.
bool AppendReference(std::string_view name, std::string& text) {
  struct Entity {
    std::string_view name;
    char character;
  };
  static constexpr Entity kEntities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  if (name.starts_with('#')) return AppendCharacter(name, text);
  const auto* const known = std::ranges::find(kEntities, name, &Entity::name);
  if (known == std::end(kEntities)) return false;
  text += known->character;
  return true;
}

bool AppendCharacterData(std::string_view data, std::string& text) {
  while (!data.empty()) {
    const size_t mark = std::min(data.find('&'), data.size());
    text.append(data.substr(0, mark));
    data.remove_prefix(mark);
    if (data.empty()) return true;
    const size_t end = data.find(';');
    if (end == std::string_view::npos || !AppendReference(data.substr(1, end - 1), text)) return false;
    data.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace

bool LoadXml(std::string_view body, pugi::xml_document* document) {
  if (CountMarkup(body) > kMaxMarkup) return false;
  return static_cast<bool>(document->load_buffer(body.data(), body.size(), kXmlOptions, pugi::encoding_utf8));
}

std::optional<std::string> TextOf(const pugi::xml_node& element) {
  std::string text;
  // A comment in the middle parts a text in two.
  for (const pugi::xml_node& node : element.children()) {
    if (node.type() == pugi::node_cdata) {
      text += node.value();
    } else if (node.type() != pugi::node_pcdata || !AppendCharacterData(node.value(), text)) {
      return std::nullopt;
    }
  }
  return text;
}

}  // namespace s3overlay::s3
