// SPDX-License-Identifier: Apache-2.0
#include "reader_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace s3overlay::bench {

void Fail(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

ReadableFile::ReadableFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) Fail(path);
}

ReadableFile::~ReadableFile() { ::close(fd_); }

uint64_t ReadableFile::size() const { return static_cast<uint64_t>(::lseek(fd_, 0, SEEK_END)); }

size_t ReadableFile::ReadAt(char* buffer, size_t size, uint64_t offset) const {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, buffer + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0) Fail("pread");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void ReadableFile::DropPages() const {
  if (::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED) != 0) Fail("posix_fadvise");
}

std::vector<std::string> ListDirectory(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (stream == nullptr) Fail(directory);
  std::vector<std::string> paths;
  while (const dirent* entry = ::readdir(stream.get())) {
    if (entry->d_name[0] != '.') paths.push_back(directory + "/" + entry->d_name);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void Report::Count(size_t read) {
  bytes += read;
  ++operations;
}

void Report::Chain(const char* data, size_t size) { checksum = XXH3_64bits_withSeed(data, size, checksum); }

void Report::AddPart(const char* data, size_t size, uint64_t offset) {
  checksum += XXH3_64bits_withSeed(data, size, offset);
}

void Report::AddFile(const ReadableFile& file, std::vector<char>& buffer) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  uint64_t offset = 0;
  for (;;) {
    const size_t got = file.ReadAt(buffer.data(), buffer.size(), offset);
    XXH3_64bits_update(state.get(), buffer.data(), got);
    offset += got;
    if (got < buffer.size()) break;
  }
  checksum += XXH3_64bits_digest(state.get());
  Count(offset);
}

void Report::Add(const Report& other) {
  bytes += other.bytes;
  operations += other.operations;
  checksum += other.checksum;
}

}  // namespace s3overlay::bench
