// SPDX-License-Identifier: Apache-2.0
//
// BlockReader: reads pinned blocks from their files, with no lock held, and holds them to their checksums: on first use
// in this run, when a whole object is checked, and for `cache verify`. What it finds damaged leaves the cache.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/fault_log.h"
#include "cache/object_table.h"
#include "s3overlay/metrics.h"

namespace s3overlay {

// Thread-safe.
class BlockReader {
 public:
  BlockReader(std::string dir, ObjectTable& table, Metrics& metrics, FaultLog& faults)
      : dir_(std::move(dir)), table_(table), metrics_(metrics), faults_(faults) {}

  // Copies a part of the block, held to its checksum at its first use. Gives the pin back.
  [[nodiscard]] bool Read(BlockPin pin, uint64_t offset_in_block, std::span<std::byte> out);

  // Reads a whole block and holds it to its checksum. Gives the pin back.
  ReadOutcome Check(BlockPin pin, std::vector<std::byte>& buffer);

  // Whether every block is what it should be, the whole has the MD5 that it should have, and all is on the medium.
  CheckVerdict CheckWhole(const ObjectPtr& object, const std::atomic<bool>& cancelled);

 private:
  ReadOutcome ReadPart(BlockPin& pin, uint64_t offset_in_block, std::span<std::byte> out);
  ReadOutcome ReadVerified(BlockPin& pin, std::span<std::byte> whole);
  bool OpenFile(BlockPin& pin);
  bool Sync(const ObjectPtr& object, DataFile& file);
  ReadOutcome Failed(const Error& error);

  const std::string dir_;
  ObjectTable& table_;
  Metrics& metrics_;
  FaultLog& faults_;
};

}  // namespace s3overlay
