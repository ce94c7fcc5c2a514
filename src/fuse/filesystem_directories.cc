// SPDX-License-Identifier: Apache-2.0
//
// Directories: a snapshot at opendir, read in ordinals.
#include <utility>
#include <vector>

#include "fuse/handles.h"

namespace s3overlay {
namespace {

// "." and ".." come before the names.
constexpr uint64_t kDots = 2;

}  // namespace

Result<void> Filesystem::OpenDirectory(Request& request, fuse_ino_t id, fuse_file_info file,
                                       const CallContext& context) {
  Result<NodePtr> node = NodeOf(id);
  if (!node) return node.error();
  Result<ListingPtr> listing = source_.List((*node)->path(), context);
  if (!listing) {
    if (listing.error().code != ErrorCode::kWouldBlock) {
      failures_.Note(FailedCall::kList, "/" + (*node)->path(), listing.error());
    }
    return listing.error();
  }
  auto handle = std::make_unique<DirectoryHandle>(DirectoryHandle{*node, *std::move(listing)});
  file.fh = directories_.Add(std::move(handle));
  if (!request.ReplyOpen(file)) directories_.Take(file.fh);  // Nobody took it, so no release will come.
  return {};
}

void Filesystem::ReleaseDirectory(Request& request, uint64_t handle) {
  directories_.Take(handle);
  request.ReplyError(0);
}

// One answer to readdir or readdirplus.
struct Filesystem::DirectoryPage {
  std::vector<char> bytes;
  size_t used = 0;
  bool plus = false;                  // With attributes…
  bool with_nodes = false;            // …and nodes, of which the kernel counts a lookup each once it takes the answer.
  std::vector<fuse_ino_t> counted{};  // Those.

  // False when the name does not fit.
  bool HasRoomFor(fuse_req_t request, const std::string& name) const {
    const size_t needed = plus ? fuse_add_direntry_plus(request, nullptr, 0, name.c_str(), nullptr, 0)
                               : fuse_add_direntry(request, nullptr, 0, name.c_str(), nullptr, 0);
    return needed <= bytes.size() - used;
  }
  void Add(fuse_req_t request, const std::string& name, const fuse_entry_param& entry, off_t next) {
    char* const at = bytes.data() + used;
    const size_t room = bytes.size() - used;
    used += plus ? fuse_add_direntry_plus(request, at, room, name.c_str(), &entry, next)
                 : fuse_add_direntry(request, at, room, name.c_str(), &entry.attr, next);
  }
};

Result<void> Filesystem::ReadDirectory(Request& request, const DirectoryHandle& handle, size_t size, uint64_t offset,
                                       bool plus) {
  DirectoryPage page{.bytes = std::vector<char>(size), .plus = plus, .with_nodes = plus && HasRoomForNodes()};
  const uint64_t end = handle.listing->size() + kDots;
  for (uint64_t index = offset; index < end; ++index) {
    const std::string_view dots = index == 0 ? "." : "..";
    const std::string name(index < kDots ? dots : handle.listing->NameAt(index - kDots));
    if (!page.HasRoomFor(request.handle(), name)) break;
    const fuse_entry_param entry =
        index < kDots ? DescribeDots(handle) : DescribeEntry(handle, index - kDots, name, page);
    page.Add(request.handle(), name, entry, static_cast<off_t>(index + 1));
  }
  if (!request.ReplyData(std::as_bytes(std::span(page.bytes).first(page.used)))) {
    for (const fuse_ino_t id : page.counted) inodes_.Forget(id, 1);
  }
  return {};
}

fuse_entry_param Filesystem::DescribeDots(const DirectoryHandle& handle) {
  fuse_entry_param entry{};
  entry.attr.st_ino = handle.node->inode_number();
  entry.attr.st_mode = S_IFDIR;
  return entry;
}

// Without a node where only names are asked for, where there are too many nodes, and where the listing is older than
// its entries live: what it says of a version may have been overtaken by a lookup.
fuse_entry_param Filesystem::DescribeEntry(const DirectoryHandle& handle, size_t index, const std::string& name,
                                           DirectoryPage& page) {
  std::string path = JoinPath(handle.node->path(), name);
  Entry listed = handle.listing->EntryAt(index);
  if (!page.with_nodes || listed.ttl <= Duration::zero()) {
    fuse_entry_param without_node{};
    without_node.attr = ToStat(InodeNumber(path, listed), listed.attributes, options_.ownership);
    return without_node;
  }
  const fuse_entry_param entry = Introduce(std::move(path), std::move(listed));
  page.counted.push_back(entry.ino);
  return entry;
}

}  // namespace s3overlay
