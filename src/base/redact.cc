// SPDX-License-Identifier: Apache-2.0
#include "s3overlay/redact.h"

namespace s3overlay {

std::string RedactUrl(std::string_view url) {
  constexpr std::string_view kMark = "://";
  const size_t mark = url.find(kMark);
  if (mark == std::string_view::npos) return std::string(url);
  std::string shown(url.substr(0, mark + kMark.size()));
  std::string_view rest = url.substr(shown.size());
  // A password may hold any character: what stands before the last '@' is taken for one, whatever comes between.
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    shown += "...";
    rest.remove_prefix(at);
  }
  const size_t query = rest.find_first_of("?#");
  shown += rest.substr(0, query);
  if (query != std::string_view::npos) shown += "?...";
  return shown;
}

}  // namespace s3overlay
