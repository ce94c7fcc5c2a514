// SPDX-License-Identifier: Apache-2.0
//
// BlockReader: reads pinned blocks from their files, with no lock held, and holds them to their checksums: on first use
// in this run, whenever they come from the medium, when a whole object is checked, and for `cache verify`. What it
// finds damaged leaves the cache.
//
// A block that was held to its checksum once is read without only as long as its file stays open, it lies in the
// kernel's memory, nobody has changed the file since, this cache included (its ctime says so), and the kernel lost none
// of our writes; and never of a file that was lent, whose pages the kernel may have read anew for others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cache/disk_waiter.h"
#include "cache/fault_log.h"
#include "cache/object_table.h"

namespace s3overlay {

class Md5Stream;
class PinHolder;

// Thread-safe.
class BlockReader {
 public:
  BlockReader(std::string dir, ObjectTable& table, DiskWaiter& waiter, FaultLog& faults)
      : dir_(std::move(dir)), table_(table), waiter_(waiter), faults_(faults) {}

  // Copies a part of the block. Gives the pin back. Waits for the disk no longer than the DiskWaiter does.
  [[nodiscard]] bool Read(BlockPin pin, uint64_t offset_in_block, std::span<std::byte> out);

  // Reads a whole block and holds it to its checksum. Gives the pin back.
  ReadOutcome Check(BlockPin pin, std::vector<std::byte>& buffer);

  // Whether every block is what it should be, the whole has the MD5 that it should have, and all is on the medium.
  CheckResult CheckWhole(const ObjectPtr& object, const std::atomic<bool>& cancelled);

 private:
  // What lies in the kernel's memory; nothing where the disk has to be asked.
  std::optional<ReadOutcome> ReadAtOnce(BlockPin& pin, uint64_t offset_in_block, std::span<std::byte> out);
  bool ReadPagesAtOnce(const DataFile& file, uint64_t offset, std::span<std::byte> out);
  bool OpenAtOnce(BlockPin& pin);
  bool IsUnchanged(const BlockPin& pin);
  bool ReadFromDisk(PinHolder held, uint64_t offset_in_block, std::span<std::byte> out);
  ReadOutcome ReadVerified(const BlockPin& pin, std::span<std::byte> whole);
  ReadOutcome Verify(const BlockPin& pin, std::span<const std::byte> whole);
  bool CheckBlocks(const ObjectPtr& object, const std::atomic<bool>& cancelled, Md5Stream& md5);
  ReadOutcome ReadWhole(BlockPin& pin, std::span<std::byte> whole);
  Result<std::shared_ptr<DataFile>> OpenFile(const ObjectPtr& object);
  bool Sync(const ObjectPtr& object, DataFile& file);

  const std::string dir_;
  ObjectTable& table_;
  DiskWaiter& waiter_;
  FaultLog& faults_;
  std::atomic<bool> reads_at_once_{false};  // Some read did: the file system can tell what it has in memory.
};

}  // namespace s3overlay
