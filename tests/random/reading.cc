// SPDX-License-Identifier: Apache-2.0
#include "random/reading.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

namespace s3overlay::testing {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPipeBytes = 64 * 1024;  // pipe(7): what one takes.

// Where a SIGBUS of this thread leads; null where none is expected.
thread_local sigjmp_buf* bus_error_exit = nullptr;

void OnBusError(int signal) {
  if (bus_error_exit != nullptr) siglongjmp(*bus_error_exit, 1);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

// Each of these reads once, as read(2) does: -1 and errno, 0 at the end, or how many bytes came.
ssize_t ReadScattered(int fd, uint64_t offset, std::span<std::byte> out) {
  const size_t first = out.size() / 3;
  const std::array<iovec, 2> parts = {{{out.data(), first}, {out.data() + first, out.size() - first}}};
  return ::preadv(fd, parts.data(), parts.size(), static_cast<off_t>(offset));
}

ssize_t ReadFromHere(int fd, uint64_t offset, std::span<std::byte> out) {
  if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return -1;
  return ::read(fd, out.data(), out.size());
}

ssize_t ReadBySendfile(int fd, uint64_t offset, std::span<std::byte> out) {
  const UniqueFd copy(::memfd_create("copy", MFD_CLOEXEC));
  auto from = static_cast<off_t>(offset);
  const ssize_t sent = ::sendfile(copy.get(), fd, &from, out.size());
  return sent <= 0 ? sent : ::pread(copy.get(), out.data(), static_cast<size_t>(sent), 0);
}

ssize_t ReadBySplice(int fd, uint64_t offset, std::span<std::byte> out) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  auto from = static_cast<off_t>(offset);
  const ssize_t moved = ::splice(fd, &from, write_end.get(), nullptr, std::min(out.size(), kPipeBytes), 0);
  return moved <= 0 ? moved : ::read(read_end.get(), out.data(), static_cast<size_t>(moved));
}

ssize_t ReadOnce(int fd, uint64_t offset, std::span<std::byte> out, ReadWay way) {
  switch (way) {
    case ReadWay::kRead: return ReadFromHere(fd, offset, out);
    case ReadWay::kReadv: return ReadScattered(fd, offset, out);
    case ReadWay::kSendfile: return ReadBySendfile(fd, offset, out);
    case ReadWay::kSplice: return ReadBySplice(fd, offset, out);
    case ReadWay::kPread:
    case ReadWay::kMmapShared:
    case ReadWay::kMmapPrivate: break;
  }
  return ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
}

// A short read says nothing yet: only the next one tells whether it was an error or the end.
Reading ReadByCalls(int fd, uint64_t offset, size_t size, ReadWay way) {
  const PageBuffer buffer(size);
  Reading reading;
  size_t done = 0;
  while (done < size && reading.error == 0 && !reading.at_end) {
    const ssize_t got = ReadOnce(fd, offset + done, buffer.bytes().subspan(done, size - done), way);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) reading.error = errno;
    if (got == 0) reading.at_end = true;
    if (got > 0) done += static_cast<size_t>(got);
  }
  reading.bytes.assign(buffer.bytes().begin(), buffer.bytes().begin() + static_cast<ptrdiff_t>(done));
  return reading;
}

// Not by memcpy: a sanitizer that watches it would not like to be left by a jump.
#if defined(__clang__)
__attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#else
__attribute__((noinline, no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif
void CopyPage(const volatile char* from, volatile char* to, size_t size) {
  using Word = uint64_t __attribute__((may_alias, aligned(1)));
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
    *reinterpret_cast<volatile Word*>(to + at) = *reinterpret_cast<const volatile Word*>(from + at);
  }
  for (; at < size; ++at) to[at] = from[at];
}

// How many bytes were copied before the first page that could not be had.
size_t CopyUntilBusError(const std::byte* from, std::byte* to, size_t size) {
  sigjmp_buf exit;
  volatile size_t done = 0;
  bus_error_exit = &exit;
  if (sigsetjmp(exit, 1) == 0) {
    while (done < size) {
      const size_t left_of_page = kPage - reinterpret_cast<uintptr_t>(from + done) % kPage;
      const size_t piece = std::min<size_t>(left_of_page, size - done);
      CopyPage(reinterpret_cast<const char*>(from + done), reinterpret_cast<char*>(to + done), piece);
      done = done + piece;
    }
  }
  bus_error_exit = nullptr;
  return done;
}

}  // namespace

std::string_view NameOf(ReadWay way) {
  switch (way) {
    case ReadWay::kPread: return "pread";
    case ReadWay::kRead: return "read";
    case ReadWay::kReadv: return "readv";
    case ReadWay::kSendfile: return "sendfile";
    case ReadWay::kSplice: return "splice";
    case ReadWay::kMmapShared: return "mmap shared";
    case ReadWay::kMmapPrivate: return "mmap private";
  }
  return "";
}

Reading ReadBytes(int fd, uint64_t offset, size_t size, ReadWay way, uint64_t file_size) {
  if (way != ReadWay::kMmapShared && way != ReadWay::kMmapPrivate) return ReadByCalls(fd, offset, size, way);
  if (offset >= file_size) return {};
  const Mapping mapping(fd, file_size, way == ReadWay::kMmapShared);
  if (!mapping.is_valid()) return {.bytes = {}, .error = errno};
  return mapping.Read(offset, std::min<uint64_t>(size, file_size - offset));
}

DirectoryReading ReadNames(const std::string& directory) {
  DirectoryReading reading;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(directory, problem), end; !problem && entry != end;) {
    reading.names.push_back(entry->path().filename());
    entry.increment(problem);
  }
  reading.error = problem.value();
  std::sort(reading.names.begin(), reading.names.end());
  return reading;
}

Mapping::Mapping(int fd, uint64_t size, bool is_shared) : size_(size) {
  void* const memory = ::mmap(nullptr, size, PROT_READ, is_shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
  if (memory != MAP_FAILED) memory_ = static_cast<std::byte*>(memory);
}

Mapping::~Mapping() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  return *this;
}

Reading Mapping::Read(uint64_t offset, size_t size) const {
  Reading reading;
  reading.bytes.resize(size);
  reading.bytes.resize(CopyUntilBusError(memory_ + offset, reading.bytes.data(), size));
  reading.by_signal = reading.bytes.size() < size;
  if (reading.by_signal) reading.error = EIO;
  return reading;
}

void Mapping::DropPages() const { ::madvise(memory_, size_, MADV_DONTNEED); }

void CatchBusErrors() {
  struct sigaction action{};
  action.sa_handler = OnBusError;
  action.sa_flags = SA_NODEFER;
  ::sigaction(SIGBUS, &action, nullptr);
}

PageBuffer::PageBuffer(size_t size) {
  const size_t room = (std::max<size_t>(size, 1) + kPage - 1) / kPage * kPage;
  bytes_ = {static_cast<std::byte*>(::operator new[](room, std::align_val_t(kPage))), size};
}

PageBuffer::~PageBuffer() { ::operator delete[](bytes_.data(), std::align_val_t(kPage)); }

}  // namespace s3overlay::testing
