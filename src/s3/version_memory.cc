// SPDX-License-Identifier: Apache-2.0
#include "s3/version_memory.h"

#include <fmt/format.h>

namespace s3overlay::s3 {
namespace {

// No part holds a NUL: none could come out of a URL, an XML document or a header.
std::string NameOf(const ObjectId& object) {
  constexpr char kEnd = '\0';
  return fmt::format("{}{}{}{}{}", object.bucket, kEnd, object.key, kEnd, object.etag);
}

}  // namespace

void VersionMemory::Record(const ObjectId& object, const std::string& version_id) {
  if (!HasStrongEtag(object) || version_id.empty()) return;
  std::string name = NameOf(object);
  MutexLock lock(mu_);
  if (const auto known = by_name_.find(name); known != by_name_.end()) {
    entries_.splice(entries_.end(), entries_, known->second);
    return;
  }
  entries_.push_back({.name = name, .version = {.id = version_id}});
  by_name_.emplace(std::move(name), std::prev(entries_.end()));
  if (entries_.size() <= limit_) return;
  by_name_.erase(entries_.front().name);
  entries_.pop_front();
}

void VersionMemory::MarkSuperseded(const ObjectId& object) {
  MutexLock lock(mu_);
  if (const auto known = by_name_.find(NameOf(object)); known != by_name_.end())
    known->second->version.superseded = true;
}

std::optional<KeptVersion> VersionMemory::Find(const ObjectId& object) const {
  MutexLock lock(mu_);
  const auto known = by_name_.find(NameOf(object));
  if (known == by_name_.end()) return std::nullopt;
  return known->second->version;
}

}  // namespace s3overlay::s3
