// SPDX-License-Identifier: Apache-2.0
//
// World: the bucket and the local directory of a run, how they change, and what each held when.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <random>
#include <string>

#include "random/file_history.h"
#include "random/findings.h"
#include "random/version_content.h"
#include "support/s3/test_bucket.h"

namespace s3overlay::testing {

// One thread changes it; histories may be read by others.
class World {
 public:
  struct Places {
    TestBucket& bucket;
    std::string prefix;  // Of the keys, without slash.
    std::filesystem::path local;
  };
  World(const FilePlan& plan, Places places, Findings& findings);

  // Most paths get an object, many a local file.
  void Populate(std::mt19937_64& random);
  // One random change of one path.
  void Change(std::mt19937_64& random);

  const FileHistory& ObjectOf(uint16_t path) const { return files_.at(path).object; }
  const FileHistory& LocalOf(uint16_t path) const { return files_.at(path).local; }

 private:
  struct File {
    FileHistory object;
    FileHistory local;
    uint16_t newest_object = kAbsent;
    uint16_t newest_local = kAbsent;
  };

  void SetObject(uint16_t path, uint16_t number);
  void SetLocal(uint16_t path, uint16_t number);

  const FilePlan& plan_;
  const Places places_;
  Findings& findings_;
  std::deque<File> files_;
};

}  // namespace s3overlay::testing
