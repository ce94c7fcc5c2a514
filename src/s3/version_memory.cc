// SPDX-License-Identifier: Apache-2.0
#include "s3/version_memory.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace s3overlay::s3 {
namespace {

// No part holds a NUL: none could come out of a URL, an XML document or a header.
std::string NameOf(const ObjectId& object) {
  constexpr char kEnd = '\0';
  return fmt::format("{}{}{}{}{}", object.bucket, kEnd, object.key, kEnd, object.etag);
}

}  // namespace

void VersionMemory::Record(const ObjectId& object, KeptVersion version) {
  if (!HasStrongEtag(object) || version.id.empty()) return;
  std::string name = NameOf(object);
  MutexLock lock(mu_);
  if (const auto known = by_name_.find(name); known != by_name_.end()) {
    known->second->version = std::move(version);
    entries_.splice(entries_.end(), entries_, known->second);
    return;
  }
  entries_.push_back({.name = std::move(name), .version = std::move(version)});
  by_name_.emplace(entries_.back().name, std::prev(entries_.end()));
  if (entries_.size() <= limit_) return;
  by_name_.erase(entries_.front().name);
  entries_.pop_front();
}

std::optional<KeptVersion> VersionMemory::Find(const ObjectId& object) const {
  const std::string name = NameOf(object);
  MutexLock lock(mu_);
  const auto known = by_name_.find(name);
  if (known == by_name_.end()) return std::nullopt;
  return known->second->version;
}

}  // namespace s3overlay::s3
