// SPDX-License-Identifier: Apache-2.0
//
// LocalFile: an open file of a local layer. It is live: attributes and bytes are the file's own of the moment. It stays
// with the inode that was opened, whatever becomes of the name.
#pragma once

#include <memory>
#include <string>

#include "s3overlay/file_source.h"

struct stat;

namespace s3overlay {

// dev and inode in hexadecimal: the identity of a local file.
std::string LocalVersion(const struct stat& status);

FileAttributes LocalAttributes(const struct stat& status);

// Thread-safe. Reads wait for nothing but the local disk, so they are never kWouldBlock.
class LocalFile final : public OpenFile {
 public:
  // `entry` says what was opened.
  LocalFile(UniqueFd fd, Entry entry);

  Result<size_t> Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) override;
  Result<Entry> GetEntry() const override;
  std::shared_ptr<BackingFile> GetBackingFile() override { return file_; }

 private:
  const std::shared_ptr<BackingFile> file_;
  const Entry entry_;
};

}  // namespace s3overlay
