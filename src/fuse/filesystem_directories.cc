// SPDX-License-Identifier: Apache-2.0
//
// Directories: a snapshot at opendir, read in ordinals.
#include <utility>

#include "fuse/handles.h"
#include "s3overlay/log.h"

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
      log::Warning("list /{}: {}", (*node)->path(), listing.error().message);
    }
    return listing.error();
  }
  auto handle = std::make_unique<DirectoryHandle>(DirectoryHandle{*node, *std::move(listing)});
  file.fh = reinterpret_cast<uint64_t>(handle.get());
  if (request.ReplyOpen(file)) static_cast<void>(handle.release());
  return {};
}

Result<void> Filesystem::ReadDirectory(Request& request, const DirectoryHandle& handle, size_t size, uint64_t offset,
                                       bool plus) {
  std::vector<char> buffer(size);
  size_t used = 0;
  const uint64_t end = handle.listing->entries.size() + kDots;
  for (uint64_t index = offset; index < end; ++index) {
    const size_t added = AddEntry(request, handle, index, std::span(buffer).subspan(used), plus);
    if (added == 0) break;
    used += added;
  }
  request.ReplyData(std::as_bytes(std::span(buffer).first(used)));
  return {};
}

// Bytes written to `room`; 0 when the name does not fit.
size_t Filesystem::AddEntry(Request& request, const DirectoryHandle& handle, uint64_t index, std::span<char> room,
                            bool plus) {
  const auto next = static_cast<off_t>(index + 1);
  if (index < kDots) {
    // The kernel takes no count of these two, and knows them anyway.
    fuse_entry_param dot{};
    dot.attr.st_ino = handle.node->inode_number();
    dot.attr.st_mode = S_IFDIR;
    const char* const name = index == 0 ? "." : "..";
    const size_t needed = plus ? fuse_add_direntry_plus(request.handle(), room.data(), room.size(), name, &dot, next)
                               : fuse_add_direntry(request.handle(), room.data(), room.size(), name, &dot.attr, next);
    return needed <= room.size() ? needed : 0;
  }
  const ListedEntry& listed = handle.listing->entries[index - kDots];
  const std::string& directory = handle.node->path();
  const std::string path = directory.empty() ? listed.name : directory + "/" + listed.name;
  if (!plus) {
    const Node transient(0, path, listed.entry, false);
    const struct stat attributes = ToStat(transient, listed.entry.attributes, options_.ownership);
    const size_t needed =
        fuse_add_direntry(request.handle(), room.data(), room.size(), listed.name.c_str(), &attributes, next);
    return needed <= room.size() ? needed : 0;
  }
  const NodePtr node = Remember(path, listed.entry);
  const fuse_entry_param param = ToEntryParam(*node, listed.entry, options_.ownership);
  const size_t needed =
      fuse_add_direntry_plus(request.handle(), room.data(), room.size(), listed.name.c_str(), &param, next);
  if (needed <= room.size()) return needed;
  inodes_.Forget(node->id(), 1);  // It goes with the next buffer, and is counted then.
  return 0;
}

}  // namespace s3overlay
