// SPDX-License-Identifier: Apache-2.0
#include "cache/metadata_database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cache/sqlite_statement.h"
#include "s3overlay/hash.h"
#include "s3overlay/unique_fd.h"

namespace s3overlay {
namespace {

// Both connections are this process's, so that what they share can lie in its memory: by default it is a mapping of a
// file beside the database, and touching it is SIGBUS when the disk fails. (https://www.sqlite.org/vfs.html)
constexpr char kOneProcessVfs[] = "unix-excl";

constexpr char kPragmas[] = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA journal_size_limit = 4194304;
  PRAGMA cache_size = -2048;
)sql";

// One layout of the tables from another: to be raised with each change of them.
constexpr int64_t kLayout = 2;

// What a name is, in the tables. That it is not there is kept where something else was known before: a listing that
// began earlier may still come.
enum class NameKind : int64_t { kObject = 0, kDirectory = 1, kAbsent = 2 };

constexpr char kSchema[] = R"sql(
  CREATE TABLE IF NOT EXISTS directories (
    id INTEGER PRIMARY KEY, scope BLOB NOT NULL, path BLOB NOT NULL, listed_ns INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL, written_ns INTEGER NOT NULL, UNIQUE (scope, path));
  CREATE TABLE IF NOT EXISTS names (
    directory INTEGER NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL, store BLOB, bucket BLOB, key BLOB,
    etag BLOB, size INTEGER, version_id BLOB, last_modified_ns INTEGER, storage_class BLOB, archived INTEGER,
    learned_ns INTEGER NOT NULL, PRIMARY KEY (directory, name)) WITHOUT ROWID;
)sql";

constexpr char kNameColumns[] =
    "n.name, n.kind, n.store, n.bucket, n.key, n.etag, n.size, n.version_id, n.last_modified_ns,"
    " n.storage_class, n.archived, n.learned_ns";

struct SplitPath {
  std::string_view directory;
  std::string_view name;
};

SplitPath Split(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

int64_t ToNanoseconds(WallTime time) { return time.time_since_epoch().count(); }

KnownName ReadName(const SqliteStatement& row) {
  KnownName known;
  known.entry.name = row.Text(0);
  known.learned_ns = row.Number(11);
  if (row.Number(1) != static_cast<int64_t>(NameKind::kObject)) return known;
  ObjectMetadata object;
  object.id = {.store = row.Text(2),
               .bucket = row.Text(3),
               .key = row.Text(4),
               .etag = row.Text(5),
               .size = row.Unsigned(6),
               .version_id = row.Text(7),
               .last_modified = WallTime(Duration(row.Number(8)))};
  object.last_modified = object.id.last_modified;
  object.storage_class = row.Text(9);
  object.archived = row.Number(10) != 0;
  known.entry.object = std::move(object);
  return known;
}

// Parameters: directory, then the columns in their order.
bool WriteName(SqliteStatement& insert, int64_t directory, const CatalogEntry& entry, int64_t learned_ns) {
  const ObjectMetadata object = entry.object.value_or(ObjectMetadata{});
  insert.Reset();
  const NameKind kind = entry.is_directory() ? NameKind::kDirectory : NameKind::kObject;
  insert.Bind(directory).BindBytes(entry.name).Bind(static_cast<int64_t>(kind));
  insert.BindBytes(object.id.store).BindBytes(object.id.bucket).BindBytes(object.id.key).BindBytes(object.id.etag);
  insert.Bind(object.id.size).BindBytes(object.id.version_id).Bind(ToNanoseconds(object.last_modified));
  return insert.BindBytes(object.storage_class).Bind(object.archived).Bind(learned_ns).Run();
}

constexpr char kPutName[] = "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kAddName[] = "INSERT OR IGNORE INTO names VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

// Two listings with the same one are the same: then only the time changes.
int64_t Fingerprint(const CatalogListing& listing) {
  uint64_t fingerprint = Hash64(std::string_view());
  for (size_t i = 0; i < listing.size(); ++i) {
    const CatalogEntry entry = listing.At(i);
    const ObjectMetadata object = entry.object.value_or(ObjectMetadata{});
    fingerprint =
        Hash64(fmt::format("{:x}\n{}\n{}\n{}\n{}\n{}\n{}", fingerprint, entry.name, entry.is_directory(),
                           object.id.etag, object.id.size, object.id.version_id, ToNanoseconds(object.last_modified)));
  }
  return static_cast<int64_t>(fingerprint);
}

void RollBackIfOpen(sqlite3* database) {
  if (::sqlite3_get_autocommit(database) == 0) ::sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
}

bool IsDamage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

}  // namespace

Result<std::unique_ptr<MetadataDatabase>> MetadataDatabase::Open(const std::string& path) {
  // Made here with its mode, as SQLite would make it by the umask; its log inherits the mode.
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat attributes{};
  if (!fd.is_open() || ::fchmod(fd.get(), 0600) != 0 || ::fstat(fd.get(), &attributes) != 0) {
    return SystemError(errno, "open " + path);
  }
  std::unique_ptr<MetadataDatabase> opened(new MetadataDatabase(path));
  opened->inode_ = attributes.st_ino;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (::sqlite3_open_v2(path.c_str(), &opened->database_, flags, kOneProcessVfs) != SQLITE_OK) {
    return opened->Failure("open");
  }
  ::sqlite3_busy_timeout(opened->database_, 2000);
  S3OVERLAY_RETURN_IF_ERROR(opened->Execute(kPragmas));
  S3OVERLAY_RETURN_IF_ERROR(opened->CheckLayout());
  S3OVERLAY_RETURN_IF_ERROR(opened->Execute(kSchema));
  return opened;
}

Result<void> MetadataDatabase::CheckLayout() {
  SqliteStatement ask(database_, "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version");
  if (!ask.Step()) return Failure("read");
  const int64_t layout = ask.Number(0);
  const bool is_new = ask.Number(1) == 0;
  if (!ask.Run()) return Failure("read");
  if (is_new) return Execute(fmt::format("PRAGMA user_version = {}", kLayout).c_str());
  if (layout == kLayout) return {};
  return Error{.code = ErrorCode::kBadResponse,
               .message = fmt::format("the kept metadata have layout {}, not {}", layout, kLayout)};
}

MetadataDatabase::~MetadataDatabase() { ::sqlite3_close(database_); }

bool MetadataDatabase::IsAlive() const {
  struct stat attributes{};
  return ::stat(path_.c_str(), &attributes) == 0 && attributes.st_ino == inode_;
}

Result<void> MetadataDatabase::InTransaction(const std::function<Result<void>()>& changes) {
  S3OVERLAY_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  const std::unique_ptr<sqlite3, decltype(&RollBackIfOpen)> open(database_, &RollBackIfOpen);
  S3OVERLAY_RETURN_IF_ERROR(changes());
  return Execute("COMMIT");
}

Result<int64_t> MetadataDatabase::DirectoryId(const MetadataKey& key, int64_t now_ns) {
  SqliteStatement upsert(
      database_,
      "INSERT INTO directories (scope, path, listed_ns, fingerprint, written_ns) VALUES (?, ?, 0, 0, ?)"
      " ON CONFLICT (scope, path) DO UPDATE SET written_ns = excluded.written_ns RETURNING id");
  upsert.BindBytes(key.scope).BindBytes(key.path).Bind(now_ns);
  if (!upsert.Step()) return Failure("write");
  const int64_t id = upsert.Number(0);
  if (!upsert.Run()) return Failure("write");
  return id;
}

Result<void> MetadataDatabase::PutName(const MetadataKey& key, const KnownName& known, int64_t now_ns) {
  const SplitPath split = Split(key.path);
  if (split.name.empty()) return {};  // The root is there without being told.
  const MetadataKey parent{key.scope, split.directory};
  const Result<bool> is_known_later = IsKnownLater(key, known.learned_ns, now_ns);
  if (!is_known_later) return is_known_later.error();
  if (*is_known_later) return {};
  Result<int64_t> directory = DirectoryId(parent, known.learned_ns);
  if (!directory) return directory.error();
  CatalogEntry entry = known.entry;
  entry.name = split.name;
  SqliteStatement insert(database_, kPutName);
  if (!WriteName(insert, *directory, entry, known.learned_ns)) return Failure("write");
  return {};
}

Result<void> MetadataDatabase::PutListing(const MetadataKey& key, const CatalogListing& listing, int64_t listed_ns,
                                          int64_t now_ns) {
  const Result<int64_t> listed = ListedAt(key);
  if (!listed) return listed.error();
  if (*listed > listed_ns && *listed <= now_ns) return {};
  Result<int64_t> directory = DirectoryId(key, listed_ns);
  if (!directory) return directory.error();
  const int64_t fingerprint = Fingerprint(listing);
  SqliteStatement same(database_,
                       "UPDATE directories SET listed_ns = ?1 WHERE id = ?2 AND fingerprint = ?3 AND listed_ns > 0"
                       " AND listed_ns <= ?4"
                       " AND NOT EXISTS (SELECT 1 FROM names WHERE directory = ?2 AND learned_ns > listed_ns)");
  if (!same.Bind(listed_ns).Bind(*directory).Bind(fingerprint).Bind(now_ns).Run()) return Failure("write");
  if (::sqlite3_changes(database_) > 0) return {};

  // Of what was learned in the future, the clock was wrong.
  SqliteStatement clear(database_, "DELETE FROM names WHERE directory = ?1 AND (learned_ns <= ?2 OR learned_ns > ?3)");
  if (!clear.Bind(*directory).Bind(listed_ns).Bind(now_ns).Run()) return Failure("write");
  SqliteStatement insert(database_, kAddName);
  for (size_t i = 0; i < listing.size(); ++i) {
    if (!WriteName(insert, *directory, listing.At(i), listed_ns)) return Failure("write");
  }
  SqliteStatement mark(database_, "UPDATE directories SET listed_ns = ?, fingerprint = ? WHERE id = ?");
  if (!mark.Bind(listed_ns).Bind(fingerprint).Bind(*directory).Run()) return Failure("write");
  return {};
}

Result<void> MetadataDatabase::Remove(const MetadataKey& key, int64_t learned_ns, int64_t now_ns) {
  const Result<bool> is_known_later = IsKnownLater(key, learned_ns, now_ns);
  if (!is_known_later) return is_known_later.error();
  if (*is_known_later) return {};
  const SplitPath split = Split(key.path);
  SqliteStatement name(database_,
                       "UPDATE names SET kind = ?4, learned_ns = ?5 WHERE name = ?3 AND directory ="
                       " (SELECT id FROM directories WHERE scope = ?1 AND path = ?2)");
  name.BindBytes(key.scope).BindBytes(split.directory).BindBytes(split.name);
  if (!name.Bind(static_cast<int64_t>(NameKind::kAbsent)).Bind(learned_ns).Run()) return Failure("write");
  // The fingerprint spoke of a listing that had this name.
  SqliteStatement parent(database_, "UPDATE directories SET fingerprint = 0 WHERE scope = ? AND path = ?");
  if (!parent.BindBytes(key.scope).BindBytes(split.directory).Run()) return Failure("write");
  // '0' is the byte after '/': everything below the path.
  const std::string from = std::string(key.path) + "/";
  const std::string to = std::string(key.path) + "0";
  for (const char* sql : {"DELETE FROM names WHERE directory IN (SELECT id FROM directories WHERE scope = ?1 AND"
                          " (path = ?2 OR (path >= ?3 AND path < ?4)))",
                          "DELETE FROM directories WHERE scope = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4))"}) {
    SqliteStatement below(database_, sql);
    if (!below.BindBytes(key.scope).BindBytes(key.path).BindBytes(from).BindBytes(to).Run()) return Failure("write");
  }
  return {};
}

Result<void> MetadataDatabase::Prune(uint64_t max_names) {
  SqliteStatement count(database_, "SELECT count(*) FROM names");
  if (!count.Step()) return Failure("read");
  uint64_t names = count.Unsigned(0);
  if (!count.Run()) return Failure("read");
  while (names > max_names) {
    SqliteStatement oldest(database_, "SELECT id FROM directories ORDER BY written_ns, id LIMIT 1");
    if (!oldest.Step()) return Failure("read");
    const int64_t directory = oldest.Number(0);
    SqliteStatement clear(database_, "DELETE FROM names WHERE directory = ?");
    if (!clear.Bind(directory).Run()) return Failure("write");
    names -= std::min(names, static_cast<uint64_t>(::sqlite3_changes(database_)));
    SqliteStatement drop(database_, "DELETE FROM directories WHERE id = ?");
    if (!drop.Bind(directory).Run()) return Failure("write");
  }
  return {};
}

// By an answer of its own, or by a listing of its directory.
Result<bool> MetadataDatabase::IsKnownLater(const MetadataKey& key, int64_t learned_ns, int64_t now_ns) {
  const SplitPath split = Split(key.path);
  SqliteStatement find(database_,
                       "SELECT max(d.listed_ns, coalesce(n.learned_ns, 0)) FROM directories d"
                       " LEFT JOIN names n ON n.directory = d.id AND n.name = ?3 WHERE d.scope = ?1 AND d.path = ?2");
  find.BindBytes(key.scope).BindBytes(split.directory).BindBytes(split.name);
  const bool found = find.Step();
  if (find.failed()) return Failure("read");
  const int64_t known_ns = found ? find.Number(0) : 0;
  return known_ns > learned_ns && known_ns <= now_ns;
}

// A directory that went, or one above it, took along what was known of it and below: it is no directory by a row, or
// has none in a listing, that is later.
Result<bool> MetadataDatabase::HasGoneSince(const MetadataKey& directory, int64_t learned_ns, int64_t now_ns) {
  for (std::string_view path = directory.path; !path.empty(); path = Split(path).directory) {
    SqliteStatement find(database_,
                         "SELECT d.listed_ns, n.kind, n.learned_ns FROM directories d"
                         " LEFT JOIN names n ON n.directory = d.id AND n.name = ?3 WHERE d.scope = ?1 AND d.path = ?2");
    const SplitPath split = Split(path);
    find.BindBytes(directory.scope).BindBytes(split.directory).BindBytes(split.name);
    const bool found = find.Step();
    if (find.failed()) return Failure("read");
    if (!found) continue;
    const bool has_row = find.HasValue(1);
    if (has_row && find.Number(1) == static_cast<int64_t>(NameKind::kDirectory)) continue;
    const int64_t said_ns = has_row ? std::max(find.Number(0), find.Number(2)) : find.Number(0);
    if (said_ns > learned_ns && said_ns <= now_ns) return true;
  }
  return false;
}

// 0 where it never was.
Result<int64_t> MetadataDatabase::ListedAt(const MetadataKey& key) {
  SqliteStatement find(database_, "SELECT listed_ns FROM directories WHERE scope = ? AND path = ?");
  find.BindBytes(key.scope).BindBytes(key.path);
  const bool found = find.Step();
  if (find.failed()) return Failure("read");
  return found ? find.Number(0) : int64_t{0};
}

Result<std::optional<KnownName>> MetadataDatabase::FindName(const MetadataKey& key, int64_t now_ns) {
  const SplitPath split = Split(key.path);
  const std::string sql = fmt::format(
      "SELECT {}, d.listed_ns FROM names n JOIN directories d ON d.id = n.directory"
      " WHERE d.scope = ? AND d.path = ? AND n.name = ? AND n.kind <> {}",
      kNameColumns, static_cast<int64_t>(NameKind::kAbsent));
  SqliteStatement find(database_, sql.c_str());
  find.BindBytes(key.scope).BindBytes(split.directory).BindBytes(split.name);
  if (!split.name.empty() && find.Step()) {
    KnownName known = ReadName(find);
    // An unchanged listing says so again without touching its rows.
    known.learned_ns = std::max(known.learned_ns, find.Number(12));
    const Result<bool> has_gone = HasGoneSince({key.scope, split.directory}, known.learned_ns, now_ns);
    if (!has_gone) return has_gone.error();
    return *has_gone ? std::optional<KnownName>() : std::optional(std::move(known));
  }
  if (find.failed()) return Failure("read");
  const Result<int64_t> listed = ListedAt(key);
  if (!listed) return listed.error();
  const Result<bool> has_gone = HasGoneSince(key, *listed, now_ns);
  if (!has_gone) return has_gone.error();
  if (*listed == 0 || *has_gone) return std::optional<KnownName>();
  return std::optional(KnownName{.entry = {.name = std::string(split.name), .object = std::nullopt, .learned_at = {}},
                                 .learned_ns = *listed});
}

Result<void> MetadataDatabase::ReadListing(const MetadataKey& key, int64_t now_ns, size_t max_names,
                                           KnownDirectory* known) {
  S3OVERLAY_RETURN_IF_ERROR(Execute("BEGIN"));  // Date and names of one moment.
  const std::unique_ptr<sqlite3, decltype(&RollBackIfOpen)> open(database_, &RollBackIfOpen);
  const Result<int64_t> listed = ListedAt(key);
  if (!listed) return listed.error();
  if (*listed != known->listed_ns) *known = {};
  known->listed_ns = *listed;
  const Result<bool> has_gone = HasGoneSince(key, *listed, now_ns);
  if (!has_gone) return has_gone.error();
  if (*has_gone) *known = {};
  known->is_whole = known->listed_ns == 0;
  if (known->is_whole) return {};
  const std::string sql = fmt::format(
      "SELECT {} FROM names n JOIN directories d ON d.id = n.directory"
      " WHERE d.scope = ? AND d.path = ? AND n.name > ? AND n.kind <> {} ORDER BY n.name LIMIT ?",
      kNameColumns, static_cast<int64_t>(NameKind::kAbsent));
  SqliteStatement find(database_, sql.c_str());
  find.BindBytes(key.scope).BindBytes(key.path).BindBytes(known->last_name).Bind(uint64_t{max_names});
  size_t count = 0;
  for (; find.Step(); ++count) {
    const CatalogEntry entry = ReadName(find).entry;
    known->names.Add(entry.name, entry.object ? &*entry.object : nullptr);
    known->last_name = entry.name;
  }
  if (find.failed()) return Failure("read");
  known->is_whole = count < max_names;
  return {};
}

Result<void> MetadataDatabase::Execute(const char* sql) {
  if (::sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Failure("write");
  return {};
}

Error MetadataDatabase::Failure(const char* what) {
  const bool damaged = IsDamage(::sqlite3_errcode(database_));
  return Error{.code = damaged ? ErrorCode::kBadResponse : ErrorCode::kSystem,
               .message = fmt::format("{} the kept metadata: {}", what, ::sqlite3_errmsg(database_)),
               .sys_errno = damaged ? 0 : EIO};
}

}  // namespace s3overlay
