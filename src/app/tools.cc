// SPDX-License-Identifier: Apache-2.0
#include "app/tools.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>

#include "app/line_writer.h"
#include "app/mounts.h"
#include "app/s3_subject.h"
#include "app/store_connection.h"
#include "config/mount_config.h"
#include "control/control_client.h"
#include "control/socket_path.h"
#include "s3overlay/metrics.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

constexpr auto kAskTimeout = std::chrono::seconds(10);
constexpr uint64_t kFirstPart = uint64_t{128} << 10;  // Of `cat --lines`: a few lines are seldom more.
constexpr uint64_t kLargestPart = uint64_t{8} << 20;

Error NotFound(std::string message) { return {.code = ErrorCode::kNotFound, .message = std::move(message)}; }

// A store for the time of one command. A seam of its own, as each call has a deadline of its own.
class Tool {
 public:
  explicit Tool(const MountConfig& config)
      : timeout_(config.op_timeout),
        connection_(StoreConnection::ForOneCommand({.store = config.store, .environment = config.environment}, clock_,
                                                   metrics_)) {}

  ObjectStore& store() { return connection_->store(); }
  CallContext Call() const { return {.deadline = Deadline::After(clock_, timeout_)}; }

 private:
  const SystemClock clock_;
  const Duration timeout_;
  Metrics metrics_;
  const std::unique_ptr<StoreConnection> connection_;
};

Result<ObjectMetadata> FindObject(Tool& tool, const S3Subject& subject) {
  if (subject.key.empty()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = subject.Text() + " names a bucket; add the key: s3://BUCKET/KEY"};
  }
  auto object = tool.store().Head(subject.bucket, subject.key, tool.Call());
  if (object || object.error().code != ErrorCode::kNotFound) return object;
  return NotFound(subject.Text() + " does not exist");
}

Result<Resolution> ResolveObject(const MountConfig& config, const std::string& text) {
  const auto subject = ParseS3Subject(text);
  if (!subject) return subject.error();
  Tool tool(config);
  const auto object = FindObject(tool, *subject);
  if (!object) return object.error();
  Resolution resolution;
  resolution.path = subject->key;
  resolution.entry.path = subject->key;
  resolution.entry.source = subject->Text();
  resolution.entry.etag = object->id.etag;
  resolution.entry.attributes.size = object->id.size;
  resolution.entry.attributes.mtime = object->last_modified;
  resolution.entry.immutable = true;
  resolution.entry.readable = !object->archived;
  if (object->archived) resolution.entry.reason = "archived: it has to be restored before it can be read";
  resolution.layers.push_back({.spec = "s3://" + subject->bucket, .answer = "yes", .error = {}, .age_s = 0.0});
  return resolution;
}

Result<Resolution> ResolvePath(const MountConfig& config, const std::string& path) {
  const auto place = LocateInMounts(path);
  if (!place) return NotFound(fmt::format("{} lies below no mount of s3overlay", path));
  auto client = ControlClient::Connect(ControlSocketPath(place->mountpoint), kAskTimeout);
  if (!client) {
    return Error{.code = ErrorCode::kUnavailable,
                 .message = fmt::format("the mount {} does not answer: {}", place->mountpoint, client.error().message)};
  }
  const SystemClock clock;
  return (*client)->Resolve(place->path, {.deadline = Deadline::After(clock, config.op_timeout)});
}

Result<void> CatObject(const MountConfig& config, const S3Subject& subject, LineWriter& out) {
  Tool tool(config);
  const auto object = FindObject(tool, subject);
  if (!object) return object.error();
  const ObjectId& id = object->id;
  const auto sink = [&](uint64_t, std::span<const std::byte> bytes) { return out.Write(bytes); };
  uint64_t part = kFirstPart;
  for (uint64_t offset = 0; offset < id.size && !out.done(); part = std::min(part * 4, kLargestPart)) {
    const ByteRange range{offset, std::min(part, id.size - offset)};
    S3OVERLAY_RETURN_IF_ERROR(tool.store().GetRange(id, range, sink, tool.Call()));
    offset = range.end();
  }
  return {};
}

Result<void> CatPath(const std::string& path, LineWriter& out) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return SystemError(errno, path);
  std::array<std::byte, 128 << 10> buffer{};
  while (!out.done()) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return SystemError(errno, "read " + path);
    if (size == 0) break;
    S3OVERLAY_RETURN_IF_ERROR(out.Write(std::span(buffer).first(static_cast<size_t>(size))));
  }
  return {};
}

bool Exists(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 || errno != ENOENT;
}

// "dir/name" of a key below `prefix`.
ListedName NameOf(const ObjectMetadata& object, const std::string& prefix) {
  return {.name = object.id.key.substr(prefix.size()),
          .is_directory = false,
          .size = object.id.size,
          .last_modified = object.last_modified};
}

void AddPage(const ListPage& page, const std::string& prefix, std::vector<ListedName>& names) {
  for (const ObjectMetadata& object : page.objects) {
    if (object.id.key != prefix) names.push_back(NameOf(object, prefix));
  }
  for (const std::string& directory : page.common_prefixes) {
    names.push_back({.name = directory.substr(prefix.size()), .is_directory = true, .size = 0, .last_modified = {}});
  }
}

Result<std::vector<ListedName>> ListAll(Tool& tool, const std::string& bucket, const std::string& prefix) {
  ListRequest request{
      .bucket = bucket, .prefix = prefix, .delimiter = "/", .continuation_token = {}, .start_after = {}};
  std::vector<ListedName> names;
  bool exists = prefix.empty();
  while (true) {
    const auto page = tool.store().List(request, tool.Call());
    if (!page && page.error().code == ErrorCode::kNotFound) break;
    if (!page) return page.error();
    exists = exists || !page->objects.empty() || !page->common_prefixes.empty();
    AddPage(*page, prefix, names);
    if (!page->truncated) break;
    request.continuation_token = page->next_token;
  }
  if (!exists) return NotFound(fmt::format("nothing is below s3://{}/{}", bucket, prefix));
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return names;
}

}  // namespace

Result<Resolution> ResolveSubject(const MountConfig& config, const std::string& subject) {
  return IsS3Text(subject) ? ResolveObject(config, subject) : ResolvePath(config, subject);
}

Result<void> Cat(const MountConfig& config, const CatRequest& request) {
  std::signal(SIGPIPE, SIG_IGN);  // Told by write instead, to LineWriter.
  LineWriter out(request.out_fd, request.lines);
  if (IsS3Text(request.subject)) {
    const auto subject = ParseS3Subject(request.subject);
    return subject ? CatObject(config, *subject, out) : Result<void>(subject.error());
  }
  const bool is_key = !config.default_bucket.empty() && !Exists(request.subject);
  if (is_key) return CatObject(config, {.bucket = config.default_bucket, .key = request.subject}, out);
  return CatPath(request.subject, out);
}

Result<std::vector<ListedName>> ListObjects(const MountConfig& config, const std::string& spec) {
  const auto subject = ParseS3Subject(spec);
  if (!subject) return subject.error();
  std::string prefix = subject->key;
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  Tool tool(config);
  return ListAll(tool, subject->bucket, prefix);
}

Result<StatusObject> FetchStatusOf(const std::string& mountpoint) {
  const auto path = CanonicalPath(mountpoint);
  if (!path || !IsOverlayMount(*path)) return NotFound(mountpoint + " is not mounted by s3overlay");
  auto client = ControlClient::Connect(ControlSocketPath(*path), kAskTimeout);
  if (client) return (*client)->FetchStatus();
  return Error{.code = ErrorCode::kUnavailable,
               .message = fmt::format("the mount {} does not answer: {}", *path, client.error().message)};
}

}  // namespace s3overlay
