// SPDX-License-Identifier: Apache-2.0
#include "app/line_writer.h"

#include <unistd.h>

#include <cerrno>

namespace s3overlay {

Result<void> LineWriter::Write(std::span<const std::byte> bytes) {
  bytes = bytes.first(CountWanted(bytes));
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd_, bytes.data(), bytes.size());
    if (size > 0) bytes = bytes.subspan(static_cast<size_t>(size));
    if (size >= 0 || errno == EINTR) continue;
    done_ = true;
    if (errno == EPIPE) return {};  // `cat … | head`: the reader has what it wants.
    return SystemError(errno, "write the output");
  }
  return {};
}

size_t LineWriter::CountWanted(std::span<const std::byte> bytes) {
  if (done_) return 0;
  if (!lines_left_) return bytes.size();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != std::byte{'\n'} || --*lines_left_ > 0) continue;
    done_ = true;
    return i + 1;
  }
  return bytes.size();
}

}  // namespace s3overlay
