// SPDX-License-Identifier: Apache-2.0
#include "support/mount/generated_bucket.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace s3overlay::testing {
namespace {

constexpr std::string_view kRoot = "data/";
constexpr size_t kNumberDigits = 7;

size_t NumberIn(std::string_view text) {
  size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// The value of a parameter, with its slashes decoded: other characters that need it do not occur.
std::string Parameter(std::string_view query, std::string_view name) {
  for (size_t begin = 0; begin < query.size();) {
    const size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view pair = query.substr(begin, end - begin);
    begin = end + 1;
    if (!pair.starts_with(name) || pair.size() == name.size() || pair[name.size()] != '=') continue;
    std::string value(pair.substr(name.size() + 1));
    for (size_t at = value.find("%2F"); at != std::string::npos; at = value.find("%2F")) value.replace(at, 3, "/");
    return value;
  }
  return "";
}

std::string FileItem(const std::string& key) {
  return fmt::format(
      "<Contents><Key>{}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
      "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass>"
      "</Contents>",
      key);
}

bool IsNameOf(std::string_view name, char kind, size_t count) {
  return name.size() == kNumberDigits + 1 && name[0] == kind && NumberIn(name.substr(1)) < count;
}

}  // namespace

GeneratedBucket::GeneratedBucket(size_t files, size_t directories)
    : files_(files), directories_(directories), server_([this](const auto& r, auto& c) { Answer(r, c); }) {}

std::string GeneratedBucket::FileName(size_t index) { return fmt::format("f{:07}", index); }
std::string GeneratedBucket::DirectoryName(size_t index) { return fmt::format("d{:07}", index); }

void GeneratedBucket::Answer(const ServedRequest& request, ServedConnection& connection) {
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  if (request.method == "GET" && mark != std::string_view::npos) {
    ++lists_;
    connection.Reply(200, {{"Content-Type", "application/xml"}}, ListAnswer(target.substr(mark + 1)));
    return;
  }
  ++heads_;
  const size_t slash = target.find('/', 1);
  AnswerHead(slash == std::string_view::npos ? "" : target.substr(slash + 1), connection);
}

void GeneratedBucket::AnswerHead(std::string_view key, ServedConnection& connection) {
  if (!IsFile(key)) {
    connection.Reply(404);
    return;
  }
  connection.Reply(
      200, {{"ETag", "\"5d41402abc4b2a76b9719d911017c592\""}, {"Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT"}}, "x");
}

bool GeneratedBucket::IsFile(std::string_view key) const {
  const size_t name = key.rfind('/') + 1;
  return name > 0 && ItemsBelow(key.substr(0, name)) == files_ && IsNameOf(key.substr(name), 'f', files_);
}

// How many names are in the directory of that prefix.
size_t GeneratedBucket::ItemsBelow(std::string_view prefix) const {
  if (prefix == kRoot) return directories_ > 0 ? directories_ : files_;
  if (directories_ == 0 || !prefix.starts_with(kRoot) || !prefix.ends_with('/')) return 0;
  prefix.remove_prefix(kRoot.size());
  prefix.remove_suffix(1);
  return IsNameOf(prefix, 'd', directories_) ? files_ : 0;
}

// A continuation token is the number of names before it.
std::string GeneratedBucket::ListAnswer(std::string_view query) const {
  const std::string prefix = Parameter(query, "prefix");
  const size_t from = NumberIn(Parameter(query, "continuation-token"));
  const size_t items = ItemsBelow(prefix);
  const size_t to = std::min(items, from + NumberIn(Parameter(query, "max-keys")));
  const std::string next =
      to < items ? fmt::format("<NextContinuationToken>{}</NextContinuationToken>", to) : std::string();
  return fmt::format(
      "<ListBucketResult><Prefix>{}</Prefix><EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>{}{}"
      "</ListBucketResult>",
      prefix, to < items, next, IsFile(prefix) ? FileItem(prefix) : Items(prefix, from, to));
}

std::string GeneratedBucket::Items(const std::string& prefix, size_t from, size_t to) const {
  std::string items;
  const bool are_directories = directories_ > 0 && prefix == kRoot;
  for (size_t i = from; i < to; ++i) {
    items += are_directories
                 ? fmt::format("<CommonPrefixes><Prefix>{}{}/</Prefix></CommonPrefixes>", prefix, DirectoryName(i))
                 : FileItem(prefix + FileName(i));
  }
  return items;
}

}  // namespace s3overlay::testing
