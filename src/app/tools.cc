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
#include "app/mount_client.h"
#include "app/mounts.h"
#include "app/s3_subject.h"
#include "app/store_connection.h"
#include "config/mount_config.h"
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

Entry EntryOf(const S3Subject& subject, const ObjectMetadata& object) {
  Entry entry;
  entry.path = subject.key;
  entry.source = subject.Text();
  entry.etag = object.id.etag;
  entry.attributes.size = object.id.size;
  entry.attributes.mtime = object.last_modified;
  entry.immutable = true;
  entry.readable = !object.archived;
  if (object.archived) entry.reason = "archived: it has to be restored before it can be read";
  return entry;
}

std::string DirectoryPrefix(const std::string& key) { return key.empty() || key.ends_with('/') ? key : key + '/'; }

// kNotFound where no key begins with the prefix; a bucket is there without any.
Result<Entry> FindDirectory(Tool& tool, const S3Subject& subject) {
  const ListRequest request{.bucket = subject.bucket,
                            .prefix = DirectoryPrefix(subject.key),
                            .delimiter = "/",
                            .continuation_token = {},
                            .start_after = {},
                            .max_keys = 1};
  const auto page = tool.store().List(request, tool.Call());
  if (!page && page.error().code != ErrorCode::kNotFound) return page.error();
  const bool has_keys = page && (!page->objects.empty() || !page->common_prefixes.empty());
  if (!has_keys && !(page && subject.key.empty())) return NotFound(subject.Text() + " does not exist");
  Entry entry;
  entry.path = subject.key;
  entry.source = subject.Text();
  entry.attributes.type = FileType::kDirectory;
  return entry;
}

// Whether the text can only mean what lies below a prefix.
bool IsPrefixText(const S3Subject& subject) { return subject.key.empty() || subject.key.ends_with('/'); }

// The object of that very key, else the directory of what lies below it.
Result<Entry> FindEntry(Tool& tool, const S3Subject& subject) {
  if (IsPrefixText(subject)) return FindDirectory(tool, subject);
  const auto object = FindObject(tool, subject);
  if (object) return EntryOf(subject, *object);
  return object.error().code == ErrorCode::kNotFound ? FindDirectory(tool, subject) : object.error();
}

Result<Resolution> ResolveObject(const MountConfig& config, const std::string& text) {
  const auto subject = ParseS3Subject(text);
  if (!subject) return subject.error();
  Tool tool(config);
  auto entry = FindEntry(tool, *subject);
  if (!entry) return entry.error();
  Resolution resolution;
  resolution.path = subject->key;
  resolution.entry = *std::move(entry);
  resolution.layers.push_back({.spec = "s3://" + subject->bucket, .answer = "yes", .error = {}, .age_s = 0.0});
  return resolution;
}

Result<Resolution> ResolvePath(const MountConfig& config, const std::string& path) {
  const auto place = LocateInMounts(path);
  if (!place) return NotFound(fmt::format("{} lies below no mount of s3overlay", path));
  auto client = ConnectToMount(place->mountpoint, kAskTimeout);
  if (!client) return client.error();
  const SystemClock clock;
  return (*client)->Resolve(place->path, {.deadline = Deadline::After(clock, config.op_timeout)});
}

// A prefix has no bytes: said in so many words, as for a directory.
Error NoObject(Tool& tool, const S3Subject& subject, const Error& error) {
  if (error.code != ErrorCode::kNotFound || !FindDirectory(tool, subject)) return error;
  return {.code = ErrorCode::kIsADirectory,
          .message = fmt::format("{0} is a prefix and no object; s3overlay ls {0} lists it", subject.Text())};
}

Result<void> CatObject(const MountConfig& config, const S3Subject& subject, LineWriter& out) {
  Tool tool(config);
  const auto object = FindObject(tool, subject);
  if (!object) return NoObject(tool, subject, object.error());
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

// `prefix` ends where the name begins.
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

// Nothing where no key begins with the prefix; a bucket is there without any.
Result<std::optional<std::vector<ListedName>>> ListDirectory(Tool& tool, const S3Subject& subject) {
  const std::string prefix = DirectoryPrefix(subject.key);
  ListRequest request{
      .bucket = subject.bucket, .prefix = prefix, .delimiter = "/", .continuation_token = {}, .start_after = {}};
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
  if (!exists) return std::optional<std::vector<ListedName>>();
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return std::optional(std::move(names));
}

Result<std::vector<ListedName>> ListOne(Tool& tool, const S3Subject& subject) {
  const auto object = FindObject(tool, subject);
  if (!object) return object.error();
  return std::vector{NameOf(*object, subject.key.substr(0, subject.key.rfind('/') + 1))};
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
  Tool tool(config);
  auto names = ListDirectory(tool, *subject);
  if (!names) return names.error();
  if (*names) return **std::move(names);
  if (!IsPrefixText(*subject)) return ListOne(tool, *subject);
  return NotFound("nothing is below " + subject->Text());
}

Result<StatusObject> FetchStatusOf(const std::string& mountpoint) {
  const auto path = CanonicalPath(mountpoint);
  if (!path || !IsOverlayMount(*path)) return NotFound(mountpoint + " is not mounted by s3overlay");
  auto client = ConnectToMount(*path, kAskTimeout);
  return client ? (*client)->FetchStatus() : client.error();
}

}  // namespace s3overlay
