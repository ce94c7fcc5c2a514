// SPDX-License-Identifier: Apache-2.0
//
// GeneratedBucket: a store of any number of objects that nobody had to put there. It answers ListObjectsV2 and HEAD of
// the keys below "data/", all of them of one byte, and checks no signature.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "support/http_server.h"

namespace s3overlay::testing {

class GeneratedBucket {
 public:
  // Files data/f0000000, data/f0000001, ...; or, with directories, as many in each of data/d0000000/, ...
  explicit GeneratedBucket(size_t files, size_t directories = 0);

  std::string url() const { return server_.url(); }
  static std::string FileName(size_t index);
  static std::string DirectoryName(size_t index);

  // Requests so far.
  int lists() const { return lists_; }
  int heads() const { return heads_; }

 private:
  void Answer(const ServedRequest& request, ServedConnection& connection);
  void AnswerHead(std::string_view key, ServedConnection& connection);
  std::string ListAnswer(std::string_view query) const;
  std::string Items(const std::string& prefix, size_t from, size_t to) const;
  bool IsFile(std::string_view key) const;
  size_t ItemsBelow(std::string_view prefix) const;

  const size_t files_;
  const size_t directories_;
  std::atomic<int> lists_{0};
  std::atomic<int> heads_{0};
  HttpServer server_;  // Last: its threads use the others.
};

}  // namespace s3overlay::testing
