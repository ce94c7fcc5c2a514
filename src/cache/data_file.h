// SPDX-License-Identifier: Apache-2.0
//
// DataFile: one sparse file with exactly an object's bytes at the object's offsets, and nothing before or after.
//
// It carries a random id in the extended attribute user.s3overlay.id, which the index knows too, so that a file that
// was replaced behind our back is noticed; where a file system has no extended attributes the inode number must do.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cache/object_name.h"
#include "s3overlay/byte_range.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

// What a data file and its row in the index have in common.
struct FileIdentity {
  uint64_t id = 0;  // Zero where the file system keeps no extended attributes.
  uint64_t inode = 0;
  uint64_t size = 0;
};

// Thread-safe: positioned I/O on one descriptor. Errors are kSystem.
class DataFile {
 public:
  // A new file: 0600 whatever the umask, of the object's size, all holes. What was at `path` before is unlinked.
  static Result<std::unique_ptr<DataFile>> Create(const std::string& path, uint64_t size);

  // kNotFound where there is none, kBadResponse where it is not the one that `identity` describes.
  static Result<std::unique_ptr<DataFile>> Open(const std::string& path, const FileIdentity& identity, bool writable);

  const FileIdentity& identity() const { return identity_; }
  int fd() const { return fd_.get(); }
  UniqueFd TakeFd() && { return std::move(fd_); }

  // All of it or an error: a hole or a short file is no success.
  Result<void> Read(uint64_t offset, std::span<std::byte> out) const;
  Result<void> Write(uint64_t offset, std::span<const std::byte> bytes);

  // On the medium, as fdatasync means it.
  Result<void> Sync();

  // Gives the space of `range` back; it reads as zeros afterwards.
  Result<void> Punch(ByteRange range);

  // Bytes on the medium.
  Result<uint64_t> GetAllocated() const;

  // A note, kept with the file, that it was handed out and may be mapped somewhere, even after a crash of this process.
  void MarkLent();
  // True too where the file system cannot keep such a note.
  bool WasLent() const;

 private:
  DataFile(UniqueFd fd, FileIdentity identity) : fd_(std::move(fd)), identity_(identity) {}

  UniqueFd fd_;
  const FileIdentity identity_;
};

}  // namespace s3overlay
