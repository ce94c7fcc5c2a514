// SPDX-License-Identifier: Apache-2.0
//
// The table of callbacks: from libfuse's C interface to Filesystem. Every change is EROFS.
#include <cerrno>
#include <string>

#include "fuse/handles.h"

namespace s3overlay {

struct Callbacks {
  static Filesystem& Of(fuse_req_t request) { return *static_cast<Filesystem*>(fuse_req_userdata(request)); }

  static void Init(void* filesystem, fuse_conn_info* connection);

  static void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kNames, [&fs, parent, name = std::string(name)](Request& r, const CallContext& c) {
      return fs.Lookup(r, parent, name, c);
    });
  }
  static void Forget(fuse_req_t request, fuse_ino_t id, uint64_t lookups) {
    Of(request).inodes_.Forget(id, lookups);
    fuse_reply_none(request);
  }
  static void ForgetMany(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
    for (size_t i = 0; i < count; ++i) Of(request).inodes_.Forget(forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(request);
  }
  static void GetAttributes(fuse_req_t request, fuse_ino_t id, fuse_file_info*) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kNames,
                [&fs, id](Request& r, const CallContext& c) { return fs.GetAttributes(r, id, c); });
  }
  static void ReadLink(fuse_req_t request, fuse_ino_t id) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kNames,
                [&fs, id](Request& r, const CallContext& c) { return fs.ReadLink(r, id, c); });
  }
  static void Open(fuse_req_t request, fuse_ino_t id, fuse_file_info* file) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kNames,
                [&fs, id, info = *file](Request& r, const CallContext& c) { return fs.Open(r, id, info, c); });
  }
  static void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* file) {
    Filesystem& fs = Of(request);
    const auto* const handle = HandleTable<Filesystem::FileHandle>::At(file->fh);
    fs.Dispatch(request, LaneKind::kBytes, [&fs, handle, size, offset](Request& r, const CallContext& c) {
      return fs.Read(r, *handle, size, static_cast<uint64_t>(offset), c);
    });
  }
  static void Release(fuse_req_t handle, fuse_ino_t id, fuse_file_info* file) {
    Request request(handle);
    Of(handle).Release(request, id, file->fh);
  }
  static void OpenDirectory(fuse_req_t request, fuse_ino_t id, fuse_file_info* file) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kBytes,
                [&fs, id, info = *file](Request& r, const CallContext& c) { return fs.OpenDirectory(r, id, info, c); });
  }
  template <bool kPlus>
  static void ReadDirectory(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* file) {
    Filesystem& fs = Of(request);
    const auto* const handle = HandleTable<Filesystem::DirectoryHandle>::At(file->fh);
    fs.Dispatch(request, LaneKind::kNames, [&fs, handle, size, offset](Request& r, const CallContext&) {
      return fs.ReadDirectory(r, *handle, size, static_cast<uint64_t>(offset), kPlus);
    });
  }
  static void ReleaseDirectory(fuse_req_t handle, fuse_ino_t, fuse_file_info* file) {
    Request request(handle);
    Of(handle).ReleaseDirectory(request, file->fh);
  }
  static void GetSpace(fuse_req_t request, fuse_ino_t) {
    Filesystem& fs = Of(request);
    fs.Dispatch(request, LaneKind::kNames, [&fs](Request& r, const CallContext&) { return fs.GetSpace(r); });
  }
  static void GetXattr(fuse_req_t request, fuse_ino_t id, const char* name, size_t room) {
    Filesystem& fs = Of(request);
    if (!fs.options_.xattr) {
      fuse_reply_err(request, ENOSYS);
      return;
    }
    fs.Dispatch(request, LaneKind::kNames, [&fs, id, name = std::string(name), room](Request& r, const CallContext&) {
      return fs.GetXattr(r, id, name, room);
    });
  }
  static void ListXattr(fuse_req_t request, fuse_ino_t id, size_t room) {
    Filesystem& fs = Of(request);
    if (!fs.options_.xattr) {
      fuse_reply_err(request, ENOSYS);
      return;
    }
    fs.Dispatch(request, LaneKind::kNames,
                [&fs, id, room](Request& r, const CallContext&) { return fs.ListXattr(r, id, room); });
  }
  // Permissions are the kernel's business (default_permissions); only the wish to write ends here.
  static void Access(fuse_req_t request, fuse_ino_t, int mask) {
    fuse_reply_err(request, (mask & W_OK) != 0 ? EROFS : 0);
  }

  // Any change, whatever its arguments.
  template <typename... Arguments>
  static void Refuse(fuse_req_t request, Arguments...) {
    fuse_reply_err(request, EROFS);
  }
};

void Callbacks::Init(void* filesystem, fuse_conn_info* connection) {
  static_cast<Filesystem*>(filesystem)->Negotiate(connection);
}

fuse_lowlevel_ops Filesystem::Operations() {
  fuse_lowlevel_ops ops{};
  ops.init = Callbacks::Init;
  ops.lookup = Callbacks::Lookup;
  ops.forget = Callbacks::Forget;
  ops.forget_multi = Callbacks::ForgetMany;
  ops.getattr = Callbacks::GetAttributes;
  ops.readlink = Callbacks::ReadLink;
  ops.open = Callbacks::Open;
  ops.read = Callbacks::Read;
  ops.release = Callbacks::Release;
  ops.opendir = Callbacks::OpenDirectory;
  ops.readdir = Callbacks::ReadDirectory<false>;
  ops.readdirplus = Callbacks::ReadDirectory<true>;
  ops.releasedir = Callbacks::ReleaseDirectory;
  ops.statfs = Callbacks::GetSpace;
  ops.getxattr = Callbacks::GetXattr;
  ops.listxattr = Callbacks::ListXattr;
  ops.access = Callbacks::Access;
  ops.setattr = Callbacks::Refuse;
  ops.mknod = Callbacks::Refuse;
  ops.mkdir = Callbacks::Refuse;
  ops.unlink = Callbacks::Refuse;
  ops.rmdir = Callbacks::Refuse;
  ops.symlink = Callbacks::Refuse;
  ops.rename = Callbacks::Refuse;
  ops.link = Callbacks::Refuse;
  ops.write = Callbacks::Refuse;
  ops.create = Callbacks::Refuse;
  ops.setxattr = Callbacks::Refuse;
  ops.removexattr = Callbacks::Refuse;
  ops.fallocate = Callbacks::Refuse;
  return ops;
}

}  // namespace s3overlay
