// SPDX-License-Identifier: Apache-2.0
//
// DirectoryReadahead: which small files of a directory will be opened next. A pure state machine over positions in the
// order of the listing, told of every open.
//
// Two ways to go through a directory are known. In order: the next files are named, as many as have proved worth it,
// and none once the reader jumps. Shuffled, as an epoch of training does: once a share of the files has been opened,
// others are named in the order of the listing, a few for each open; as many of them must be opened as chance would
// have it of a reader who wants all, or the naming ends for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace s3overlay {

struct DirectoryReadaheadOptions {
  size_t first_window = 16;   // Files ahead of a reader in order; doubles while the reader follows.
  size_t max_window = 256;    // More than the fetcher has threads, so that they are never idle.
  size_t max_skip = 3;        // Files that a reader in order may leave out.
  size_t shuffled_from = 64;  // Opens, or a hundredth of the files if that is more.
  size_t per_open = 8;        // Files named for each open of a shuffled reader,
  size_t per_opened = 4;      // and of all for each file opened so far.
};

// Not thread-safe.
class DirectoryReadahead {
 public:
  explicit DirectoryReadahead(size_t files, DirectoryReadaheadOptions options = {});

  // The files to fetch, each named once. `most`: of files that may be fetched ahead of their readers at a time.
  std::vector<size_t> OnOpen(size_t position, size_t most = SIZE_MAX);

  // Nobody will fetch this one, nor those that were named after it.
  void OnRefused(size_t position);

 private:
  enum class File : unsigned char { kUnknown, kNamed, kOpened };

  bool Follows(size_t position) const;
  std::vector<size_t> NameNext(size_t position, size_t most);
  std::vector<size_t> NameOthers(size_t most);
  void Judge(bool was_named);
  bool Name(size_t position, std::vector<size_t>& named);

  const DirectoryReadaheadOptions options_;
  std::vector<File> files_;
  size_t opened_ = 0;  // Different files.
  size_t named_ = 0;   // Files that were named and not opened since.

  // In order.
  size_t last_ = SIZE_MAX;
  size_t run_ = 0;     // Opens in a row that followed each other.
  size_t needed_ = 2;  // Such opens until files are named; more after each reader that jumped away.
  size_t window_ = 0;
  size_t grow_at_ = 0;

  // Shuffled.
  size_t cursor_ = 0;
  size_t named_in_all_ = 0;
  double expected_hits_ = 0;
  size_t hits_ = 0;
  bool shuffled_off_ = false;
};

}  // namespace s3overlay
