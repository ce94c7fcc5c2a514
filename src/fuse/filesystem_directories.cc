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
  auto handle = std::make_unique<DirectoryHandle>(DirectoryHandle{*node, *std::move(listing), clock_.Now()});
  file.fh = directories_.Add(std::move(handle));
  if (!request.ReplyOpen(file)) directories_.Take(file.fh);  // Nobody took it, so no release will come.
  return {};
}

void Filesystem::ReleaseDirectory(Request& request, uint64_t handle) {
  directories_.Take(handle);
  request.ReplyError(0);
}

Result<void> Filesystem::ReadDirectory(Request& request, const DirectoryHandle& handle, size_t size, uint64_t offset,
                                       bool plus) {
  std::vector<char> buffer(size);
  std::vector<fuse_ino_t> counted;  // Nodes that the kernel counts a lookup of, once it takes the answer.
  size_t used = 0;
  const uint64_t end = handle.listing->entries.size() + kDots;
  for (uint64_t index = offset; index < end; ++index) {
    const size_t added = AddEntry(request, handle, index, std::span(buffer).subspan(used), plus ? &counted : nullptr);
    if (added == 0) break;
    used += added;
  }
  if (!request.ReplyData(std::as_bytes(std::span(buffer).first(used)))) {
    for (const fuse_ino_t id : counted) inodes_.Forget(id, 1);
  }
  return {};
}

// Bytes written to `room`; 0 when the name does not fit. `counted` is null for a plain listing.
size_t Filesystem::AddEntry(Request& request, const DirectoryHandle& handle, uint64_t index, std::span<char> room,
                            std::vector<fuse_ino_t>* counted) {
  const ListedEntry* const listed = index < kDots ? nullptr : &handle.listing->entries[index - kDots];
  const char* const name = listed != nullptr ? listed->name.c_str() : index == 0 ? "." : "..";
  const bool plus = counted != nullptr;
  const size_t needed = plus ? fuse_add_direntry_plus(request.handle(), nullptr, 0, name, nullptr, 0)
                             : fuse_add_direntry(request.handle(), nullptr, 0, name, nullptr, 0);
  if (needed > room.size()) return 0;
  fuse_entry_param entry{};
  entry.attr.st_ino = handle.node->inode_number();
  entry.attr.st_mode = S_IFDIR;
  if (listed != nullptr) entry = DescribeEntry(handle, *listed, counted);
  const auto next = static_cast<off_t>(index + 1);
  return plus ? fuse_add_direntry_plus(request.handle(), room.data(), room.size(), name, &entry, next)
              : fuse_add_direntry(request.handle(), room.data(), room.size(), name, &entry.attr, next);
}

// Without a node (and not counted) where only names are asked for, and where the listing is older than its entries
// live: what it says of a version may have been overtaken by a lookup.
fuse_entry_param Filesystem::DescribeEntry(const DirectoryHandle& handle, const ListedEntry& listed,
                                           std::vector<fuse_ino_t>* counted) {
  const std::string path = JoinPath(handle.node->path(), listed.name);
  const Duration age = clock_.Now() - handle.listed_at;
  if (counted == nullptr || age >= listed.entry.ttl) {
    fuse_entry_param entry{};
    entry.attr = ToStat(Node(0, path, listed.entry, false), listed.entry.attributes, options_.ownership);
    return entry;
  }
  const NodePtr node = Remember(path, listed.entry);
  counted->push_back(node->id());
  return ToEntryParam(*node, listed.entry, options_.ownership, age);
}

}  // namespace s3overlay
