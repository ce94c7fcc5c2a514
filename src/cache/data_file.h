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

struct stat;

namespace s3overlay {

// What a data file and its row in the index have in common.
struct FileIdentity {
  uint64_t id = 0;  // Zero where the file system keeps no extended attributes.
  uint64_t inode = 0;
  uint64_t size = 0;
};

// What a data file is at a moment.
struct FileStatus {
  uint64_t allocated = 0;  // Bytes on the medium.
  int64_t changed_ns = 0;  // Of the last change of bytes or attributes (ctime), nanoseconds since 1970.
};

enum class FileUse {
  kChange,  // By the writer.
  kRead,    // Block by block, by us; for want of the right to write, as on a disk that became read-only, just to read.
  kLend,    // By the kernel, for those whom it is handed out to: with readahead, and never changed.
};

int64_t ChangeTimeOf(const struct stat& attributes);

// Failures of the machine or of the whole disk (no descriptors, no memory, no room, no right to write): no reason to
// give up the file that was asked for.
bool SaysNothingOfTheFile(const Error& error);

// Thread-safe: positioned I/O on one descriptor. Errors are kSystem.
class DataFile {
 public:
  // A new file: 0600 whatever the umask, of the object's size, all holes. What was at `path` before is unlinked.
  static Result<std::unique_ptr<DataFile>> Create(const std::string& path, uint64_t size);

  // kNotFound where there is none, kBadResponse where it is not the one that `identity` describes.
  static Result<std::unique_ptr<DataFile>> Open(const std::string& path, const FileIdentity& identity, FileUse use);

  // To read alone, where the kernel knows file and path already; null where the medium would have to be asked, or a
  // closer look is due. Knows the file by inode and size only: good for blocks that are held to a checksum, or to the
  // time of the file's last change.
  static std::unique_ptr<DataFile> OpenAtOnce(const std::string& path, const FileIdentity& identity);

  const FileIdentity& identity() const { return identity_; }
  // WasLent() as it was at Open; false of a new one, and of one opened at once, where nobody looked.
  bool was_lent_when_opened() const { return was_lent_; }
  bool is_writable() const { return writable_; }
  int fd() const { return fd_.get(); }
  UniqueFd TakeFd() && { return std::move(fd_); }

  // All of it or an error: a hole or a short file is no success.
  Result<void> Read(uint64_t offset, std::span<std::byte> out) const;

  // All of it out of the page cache, or no: never waits for the medium. Not every file system can (preadv2(2),
  // RWF_NOWAIT).
  [[nodiscard]] bool ReadAtOnce(uint64_t offset, std::span<std::byte> out) const;

  Result<void> Write(uint64_t offset, std::span<const std::byte> bytes);

  // On the medium, as fdatasync means it.
  Result<void> Sync();

  // Gives the space of `range` back; it reads as zeros afterwards.
  Result<void> Punch(ByteRange range);

  Result<FileStatus> GetStatus() const;

  // The kernel could not write bytes back that an earlier Write left in its memory: what is read now may be older ones.
  // Says so once for each descriptor.
  bool HasLostWrites() const;

  // A note, kept with the file, that it was handed out and may be mapped somewhere, even after a crash of this process.
  // Where the file system cannot keep notes it counts as made.
  Result<void> MarkLent();
  // True too where the file system cannot keep such a note.
  bool WasLent() const;

 private:
  DataFile(UniqueFd fd, FileIdentity identity) : fd_(std::move(fd)), identity_(identity) {}

  UniqueFd fd_;
  const FileIdentity identity_;
  bool was_lent_ = false;
  bool writable_ = true;
};

}  // namespace s3overlay
