// SPDX-License-Identifier: Apache-2.0
//
// FileSource: a tree of files that answers about names and opens them. An S3 prefix is one, a local directory is one,
// and the overlay that stacks them is one too: FUSE knows nothing else.
//
// Paths are relative to the source's root, without leading or trailing slash; "" is the root. Components are never
// empty,
// "." or "..", hold no NUL and at most 255 bytes.
//
// A source decides at Lookup and Open; a read never decides again: an OpenFile stays with one source and one version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "s3overlay/byte_chain.h"
#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/result.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {

// Of the last four only the name is shown: they are never opened.
enum class FileType : uint8_t { kRegular, kDirectory, kSymlink, kFifo, kSocket, kCharacterDevice, kBlockDevice };

// What a reader should know about where an answer came from.
enum class FileState : uint8_t {
  kFresh,     // The first source in order that has the name, asked within the metadata TTL.
  kFallback,  // Every earlier layer said no.
  kDegraded,  // An earlier layer could not answer; this one stands in.
  kStale,     // The store could not be asked; the last known version answers from the cache.
};

std::string_view FileTypeName(FileType type);     // "file", "directory", "symlink", "fifo", "socket", "block device", …
std::string_view FileStateName(FileState state);  // "fresh", "fallback", "degraded", "stale"

struct FileAttributes {
  FileType type = FileType::kRegular;
  uint64_t size = 0;       // Bytes.
  uint64_t allocated = 0;  // Bytes on the medium, for st_blocks; remote files report their size.
  WallTime mtime{};
  std::optional<uint32_t> mode;  // Permission bits, where the source has them (local files).
  uint64_t device = 0;           // Of a device: its number, as in st_rdev.
};

// The source's own note of what it found, handed back to it in Open. Only the source that made it looks inside.
class EntryOrigin {
 public:
  virtual ~EntryOrigin() = default;
};

// The answer to "what is at this path".
struct Entry {
  FileAttributes attributes;
  std::string path;     // In the source that was asked.
  std::string source;   // For people: "s3://bucket/key" or the local path.
  std::string version;  // Identity of the content: equal strings mean the same bytes (S3), or the same inode (local).
                        // Empty for directories.
  std::string etag;     // S3 only; without quotes.
  bool immutable = false;  // True: bytes and attributes never change under this version, and it has no extended
                           // attributes of its own. False: a live local file.
  bool readable = true;    // False: shown, and Open fails (an archived object); `reason` says why.
  bool enterable =
      false;  // Of a symlink: List of it and Lookup below it work, as it leads to a directory within reach.
  FileState state = FileState::kFresh;
  std::string reason;               // Why the state is not fresh, or why the file cannot be opened; else empty.
  int layer = 0;                    // Which layer answered, counted from 0; set by the overlay.
  Duration ttl = Duration::zero();  // How long this answer holds from now on: what is left of its life.
  std::shared_ptr<const EntryOrigin> origin;
};

// One name of a directory.
struct ListedEntry {
  std::string name;
  Entry entry;
};

// What a listing says as a whole.
struct ListingTerms {
  bool degraded = false;  // A layer could not list: names may be missing. Never evidence of absence.
  std::string reason{};   // Why it is degraded.
};

// An immutable snapshot of a directory, sorted by name, complete unless degraded. Shared between readers; its source
// outlives it. An entry is made when it is asked for, so that a name costs little until somebody looks at it; its ttl
// is what is left of its life at that time.
class Listing {
 public:
  explicit Listing(ListingTerms terms) : terms_(std::move(terms)) {}
  virtual ~Listing() = default;

  const ListingTerms& terms() const { return terms_; }

  // How long what it says of names, and of absences, holds from now on.
  virtual Duration ttl() const = 0;

  virtual size_t size() const = 0;
  virtual std::string_view NameAt(size_t index) const = 0;  // Lives as long as the listing.
  virtual FileType TypeAt(size_t index) const = 0;
  virtual Entry EntryAt(size_t index) const = 0;

 private:
  const ListingTerms terms_;
};
using ListingPtr = std::shared_ptr<const Listing>;

// A listing whose entries are all made beforehand; sorted by who makes it.
class EntryListing final : public Listing {
 public:
  explicit EntryListing(std::vector<ListedEntry> entries, ListingTerms terms = {}, Duration ttl = Duration::zero())
      : Listing(std::move(terms)), entries_(std::move(entries)), ttl_(ttl) {}

  Duration ttl() const override { return ttl_; }
  size_t size() const override { return entries_.size(); }
  std::string_view NameAt(size_t index) const override { return entries_[index].name; }
  FileType TypeAt(size_t index) const override { return entries_[index].entry.attributes.type; }
  Entry EntryAt(size_t index) const override { return entries_[index].entry; }

 private:
  const std::vector<ListedEntry> entries_;
  const Duration ttl_;
};

// A file with exactly an open file's bytes at the same offsets, for passthrough and for nothing else. As long as it
// lives, and afterwards, the owner neither punches nor truncates nor rewrites it: a mapping outlives every handle.
class BackingFile {
 public:
  explicit BackingFile(UniqueFd fd) : fd_(std::move(fd)) {}
  virtual ~BackingFile() = default;
  int fd() const { return fd_.get(); }

 private:
  const UniqueFd fd_;
};

// One open file, pinned to one source and one version. Thread-safe.
class OpenFile {
 public:
  virtual ~OpenFile() = default;

  // Fills `buffer` from `offset` on; fewer bytes than asked only at the end of the file. kVersionGone when a byte is
  // neither cached nor in the store any more; never bytes of another version. With may_block false: kWouldBlock where
  // the answer needs the network.
  virtual Result<size_t> Read(uint64_t offset, std::span<std::byte> buffer, const CallContext& context) = 0;

  // The same without a copy of what is in memory: up to `size` bytes.
  virtual Result<ByteChain> Borrow(uint64_t offset, size_t size, const CallContext& context);

  // What was opened. For a live local file the attributes are those of the moment.
  virtual Result<Entry> GetEntry() const = 0;

  // Null where the file cannot be passed through (yet).
  virtual std::shared_ptr<BackingFile> GetBackingFile() = 0;
};

// How much of a file the block cache holds.
struct CacheShare {
  uint64_t bytes = 0;
  bool complete = false;
};

struct FileSystemSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

// Thread-safe. Every call may answer kWouldBlock (with the lane to wait in) when context.may_block is false.
class FileSource {
 public:
  virtual ~FileSource() = default;

  // kNotFound is proof of absence; "could not be asked" is one of the outage codes (IsOutage).
  virtual Result<Entry> Lookup(std::string_view path, const CallContext& context) = 0;

  // How long the absence that Lookup has just answered may be believed from now on. 0: the name may come at any time.
  virtual Duration AbsenceTtl(std::string_view) const { return Duration::zero(); }

  // The names of a directory. kNotFound and kNotADirectory as for opendir.
  virtual Result<ListingPtr> List(std::string_view path, const CallContext& context) = 0;

  // The target of a symlink, as stored.
  virtual Result<std::string> ReadLink(std::string_view path, const CallContext& context) = 0;

  // Opens what an earlier Lookup or List of this source answered, in that version. kVersionGone when the name has come
  // to mean another version in the meantime (the caller looks up again).
  virtual Result<std::shared_ptr<OpenFile>> Open(const Entry& entry, const CallContext& context) = 0;

  // What was last known of a path, without asking anyone and however old; nothing where the source keeps no memory.
  // kUnavailable where its memory does not answer: then anything may have been known.
  virtual Result<std::optional<Entry>> LastKnown(std::string_view path) const = 0;

  // How long ago the source learned what it says of a path now; nothing where it looks each time, or was never asked.
  virtual std::optional<Duration> AnswerAge(std::string_view) const { return std::nullopt; }

  virtual CacheShare GetCacheShare(const Entry& entry) const = 0;

  // Names of the extended attributes that the file itself carries, and one of their values (kNotFound: no such one).
  virtual Result<std::vector<std::string>> ListXattr(const Entry& entry) = 0;
  virtual Result<std::string> GetXattr(const Entry& entry, const std::string& name) = 0;

  // For statfs; nothing where the source has no notion of space.
  virtual std::optional<FileSystemSpace> GetSpace() const = 0;

  // For people: "s3://bucket/prefix" or the directory.
  virtual std::string Describe() const = 0;
};

}  // namespace s3overlay
