// SPDX-License-Identifier: Apache-2.0
//
// The empty FUSE server: files of one size, answered from memory by a server that does nothing else. What it reaches is
// the ceiling of any daemon that answers reads itself; benchmarks are held against it.
//
// Usage: empty_fuse MOUNTPOINT FILES CONTENT [xattr]
// Files f0, f1, ..., each with the bytes of the file CONTENT. With xattr, extended attributes are asked for and there
// are none; without, the kernel is told once not to ask. Ends when unmounted.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr double kTimeout = 3600;
constexpr size_t kMaxRead = 1 << 20;

struct Server {
  size_t files = 0;
  bool has_xattr = false;
  std::vector<char> content;
};

Server& Of(fuse_req_t request) { return *static_cast<Server*>(fuse_req_userdata(request)); }

bool Exists(const Server& server, fuse_ino_t ino) { return ino == FUSE_ROOT_ID || ino - 2 < server.files; }

struct stat Attributes(const Server& server, fuse_ino_t ino) {
  struct stat attributes{};
  attributes.st_ino = ino;
  attributes.st_nlink = 1;
  attributes.st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
  attributes.st_size = ino == FUSE_ROOT_ID ? 0 : static_cast<off_t>(server.content.size());
  return attributes;
}

fuse_entry_param EntryOf(const Server& server, fuse_ino_t ino) {
  fuse_entry_param entry{};
  entry.ino = ino;
  entry.attr = Attributes(server, ino);
  entry.attr_timeout = entry.entry_timeout = kTimeout;
  return entry;
}

void Init(void*, fuse_conn_info* connection) {
  connection->want |= connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS);
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS_AUTO);
  connection->max_readahead = kMaxRead;
  connection->max_read = kMaxRead;
  connection->max_background = 1024;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const Server& server = Of(request);
  const fuse_ino_t ino = name[0] == 'f' ? std::strtoul(name + 1, nullptr, 10) + 2 : 0;
  if (parent != FUSE_ROOT_ID || ino < 2 || !Exists(server, ino)) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  const fuse_entry_param entry = EntryOf(server, ino);
  fuse_reply_entry(request, &entry);
}

void GetAttributes(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  const struct stat attributes = Attributes(Of(request), ino);
  fuse_reply_attr(request, &attributes, kTimeout);
}

void Open(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  file->keep_cache = 1;
  fuse_reply_open(request, file);
}

void Read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info*) {
  const Server& server = Of(request);
  const size_t begin = std::min(static_cast<size_t>(offset), server.content.size());
  fuse_reply_buf(request, server.content.data() + begin, std::min(size, server.content.size() - begin));
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info*) {
  const Server& server = Of(request);
  std::vector<char> buffer(size);
  size_t used = 0;
  for (size_t i = static_cast<size_t>(offset); i < server.files; ++i) {
    const fuse_entry_param entry = EntryOf(server, i + 2);
    const std::string name = "f" + std::to_string(i);
    const size_t length = fuse_add_direntry_plus(request, buffer.data() + used, size - used, name.c_str(), &entry,
                                                 static_cast<off_t>(i + 1));
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void GetXattr(fuse_req_t request, fuse_ino_t, const char*, size_t) {
  fuse_reply_err(request, Of(request).has_xattr ? ENODATA : ENOSYS);
}

bool Load(const char* path, std::vector<char>& content) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  content.resize(static_cast<size_t>(file.tellg()));
  file.seekg(0);
  return static_cast<bool>(file.read(content.data(), static_cast<std::streamsize>(content.size())));
}

int Serve(Server& server, const char* mountpoint) {
  fuse_lowlevel_ops operations{};
  operations.init = Init;
  operations.lookup = Lookup;
  operations.getattr = GetAttributes;
  operations.open = Open;
  operations.read = Read;
  operations.readdirplus = ReadDirectoryPlus;
  operations.getxattr = GetXattr;
  const std::string max_read = "-omax_read=" + std::to_string(kMaxRead);
  const char* arguments[] = {"empty_fuse", "-oro,subtype=empty_fuse", max_read.c_str()};
  fuse_args args = FUSE_ARGS_INIT(3, const_cast<char**>(arguments));
  fuse_session* const session = fuse_session_new(&args, &operations, sizeof(operations), &server);
  if (session == nullptr || fuse_session_mount(session, mountpoint) != 0) return 1;
  fuse_loop_config* const config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  const int result = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return result == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: empty_fuse MOUNTPOINT FILES CONTENT [xattr]\n");
    return 2;
  }
  Server server;
  server.files = std::strtoul(argv[2], nullptr, 10);
  server.has_xattr = argc == 5;
  if (!Load(argv[3], server.content)) {
    std::fprintf(stderr, "empty_fuse: %s cannot be read\n", argv[3]);
    return 1;
  }
  return Serve(server, argv[1]);
}
