// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_index.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "cache/sqlite_statement.h"

namespace s3overlay {
namespace {

// Exclusive locking mode needs no shared memory file: flock already says that this process is alone.
constexpr char kPragmas[] = R"sql(
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA auto_vacuum = INCREMENTAL;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA wal_autocheckpoint = 0;
  PRAGMA cache_size = -2048;
)sql";

constexpr char kSchema[] = R"sql(
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS objects (
    serial INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, extension TEXT NOT NULL, store TEXT, bucket TEXT,
    key BLOB, etag TEXT, version_id TEXT, size INTEGER NOT NULL, file_id INTEGER NOT NULL, inode INTEGER NOT NULL,
    allocated INTEGER NOT NULL, complete INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
    lent INTEGER NOT NULL, last_use_s INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS extents (
    object INTEGER NOT NULL, extent INTEGER NOT NULL, blocks BLOB NOT NULL, PRIMARY KEY (object, extent)) WITHOUT ROWID;
)sql";

bool IsDamage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

uint64_t AllocatedBytes(const std::string& path) {
  struct stat attributes{};
  return ::stat(path.c_str(), &attributes) == 0 ? static_cast<uint64_t>(attributes.st_blocks) * 512 : 0;
}

}  // namespace

Result<std::unique_ptr<CacheIndex>> CacheIndex::Open(const std::string& path, uint64_t block_size, uint64_t wal_limit) {
  std::unique_ptr<CacheIndex> index(new CacheIndex(path, wal_limit));
  S3OVERLAY_RETURN_IF_ERROR(index->OpenDatabase());
  S3OVERLAY_RETURN_IF_ERROR(index->Execute(kPragmas));
  S3OVERLAY_RETURN_IF_ERROR(index->CheckSchema());
  S3OVERLAY_RETURN_IF_ERROR(index->Execute(kSchema));
  S3OVERLAY_RETURN_IF_ERROR(index->CheckBlockSize(block_size));
  auto clean = index->QueryNumber("SELECT coalesce((SELECT value FROM meta WHERE name = 'clean'), 1)");
  if (!clean) return clean.error();
  index->was_clean_ = *clean != 0;
  if (!index->was_clean_) S3OVERLAY_RETURN_IF_ERROR(index->CheckIntegrity());
  S3OVERLAY_RETURN_IF_ERROR(index->MarkRunning());
  return index;
}

std::optional<uint64_t> CacheIndex::FindBlockSize(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return std::nullopt;  // A question makes no index.
  CacheIndex index(path, 0);
  if (!index.OpenDatabase() || !index.CheckSchema()) return std::nullopt;
  const auto kept = index.QueryNumber("SELECT coalesce((SELECT value FROM meta WHERE name = 'block_size'), 0)");
  if (!kept || *kept <= 0) return std::nullopt;
  return static_cast<uint64_t>(*kept);
}

CacheIndex::~CacheIndex() { ::sqlite3_close(database_); }

Result<void> CacheIndex::OpenDatabase() {
  // Made here with its mode, as SQLite would make it by the umask; its log inherits the mode.
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat attributes{};
  if (!fd.is_open() || ::fchmod(fd.get(), 0600) != 0 || ::fstat(fd.get(), &attributes) != 0) {
    return SystemError(errno, fmt::format("open {}", path_));
  }
  inode_ = attributes.st_ino;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (::sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr) != SQLITE_OK) return Failure("open");
  return {};
}

// What is no table of ours could answer in a table's name, and never end.
Result<void> CacheIndex::CheckSchema() {
  const auto foreign = QueryNumber("SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')");
  if (!foreign) return foreign.error();
  if (*foreign == 0) return {};
  return Error{.code = ErrorCode::kBadResponse, .message = fmt::format("cache index {} is none", path_)};
}

Result<void> CacheIndex::CheckIntegrity() {
  SqliteStatement check(database_, "PRAGMA quick_check(1)");
  if (check.Step() && check.Text(0) == "ok") return {};
  return Error{.code = ErrorCode::kBadResponse, .message = fmt::format("cache index {} is damaged", path_)};
}

Result<void> CacheIndex::CheckBlockSize(uint64_t block_size) {
  SqliteStatement insert(database_, "INSERT OR IGNORE INTO meta VALUES ('block_size', ?)");
  if (!insert.Bind(block_size).Run()) return Failure("write");
  auto kept = QueryNumber("SELECT value FROM meta WHERE name = 'block_size'");
  if (!kept) return kept.error();
  if (static_cast<uint64_t>(*kept) == block_size) return {};
  return Error{.code = ErrorCode::kBadResponse,
               .message = fmt::format("cache index {} has blocks of {} bytes, not {}", path_, *kept, block_size)};
}

// On the medium before anything changes: after a loss of power the flag must not be the one of the run before.
Result<void> CacheIndex::MarkRunning() {
  return Execute(
      "PRAGMA synchronous = FULL; INSERT OR REPLACE INTO meta VALUES ('clean', 0); PRAGMA synchronous = NORMAL");
}

Result<void> CacheIndex::Load(const std::function<void(const ObjectRow&)>& on_object,
                              const std::function<void(const ExtentRow&)>& on_extent) {
  S3OVERLAY_RETURN_IF_ERROR(Execute("DELETE FROM extents WHERE object NOT IN (SELECT serial FROM objects)"));
  SqliteStatement objects(
      database_,
      "SELECT serial, name, extension, etag, file_id, inode, size, allocated, complete, changed_ns, lent,"
      " last_use_s"
      " FROM objects ORDER BY last_use_s, serial");
  while (objects.Step()) {
    ObjectRow row{.serial = objects.Number(0),
                  .name = ParseObjectName(objects.Text(1)).value_or(ObjectName{}),
                  .extension = objects.Text(2),
                  .etag = objects.Text(3),
                  .file = {.id = objects.Unsigned(4), .inode = objects.Unsigned(5), .size = objects.Unsigned(6)},
                  .allocated = objects.Unsigned(7),
                  .complete = objects.Number(8) != 0,
                  .changed_ns = objects.Number(9),
                  .lent = objects.Number(10) != 0,
                  .last_use_s = objects.Number(11)};
    on_object(row);
  }
  if (!objects.Run()) return Failure("read");
  SqliteStatement extents(database_, "SELECT object, extent, blocks FROM extents");
  while (extents.Step()) {
    on_extent({.serial = extents.Number(0), .extent = extents.Unsigned(1), .blob = extents.Blob(2)});
  }
  if (!extents.Run()) return Failure("read");
  return {};
}

Result<void> CacheIndex::InsertObject(const ObjectRow& row, const ObjectId& id) {
  S3OVERLAY_RETURN_IF_ERROR(Begin());
  SqliteStatement insert(database_,
                         "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.Bind(row.serial).Bind(ToHex(row.name)).Bind(row.extension).Bind(id.store).Bind(id.bucket);
  insert.BindBytes(id.key).Bind(id.etag).Bind(id.version_id).Bind(row.file.size);
  insert.Bind(row.file.id).Bind(row.file.inode).Bind(row.allocated).Bind(row.complete).Bind(row.changed_ns);
  if (!insert.Bind(row.lent).Bind(row.last_use_s).Run()) return Failure("write");
  return {};
}

Result<void> CacheIndex::UpdateObject(const ObjectRow& row) {
  S3OVERLAY_RETURN_IF_ERROR(Begin());
  SqliteStatement update(database_,
                         "UPDATE objects SET allocated = ?, complete = ?, changed_ns = ?, lent = ?, last_use_s = ?"
                         " WHERE serial = ?");
  update.Bind(row.allocated)
      .Bind(row.complete)
      .Bind(row.changed_ns)
      .Bind(row.lent)
      .Bind(row.last_use_s)
      .Bind(row.serial);
  if (!update.Run()) return Failure("write");
  if (::sqlite3_changes(database_) > 0) return {};
  return Error{ErrorCode::kNotFound, fmt::format("cache index {} has lost an object", path_)};
}

Result<void> CacheIndex::DeleteObject(int64_t serial) {
  S3OVERLAY_RETURN_IF_ERROR(Begin());
  for (const char* sql : {"DELETE FROM objects WHERE serial = ?", "DELETE FROM extents WHERE object = ?"}) {
    if (!SqliteStatement(database_, sql).Bind(serial).Run()) return Failure("write");
  }
  return {};
}

Result<void> CacheIndex::PutExtent(const ExtentRow& row) {
  S3OVERLAY_RETURN_IF_ERROR(Begin());
  const char* sql = row.blob.empty() ? "DELETE FROM extents WHERE object = ? AND extent = ?"
                                     : "INSERT OR REPLACE INTO extents VALUES (?, ?, ?)";
  SqliteStatement put(database_, sql);
  put.Bind(row.serial).Bind(row.extent);
  if (!row.blob.empty()) put.BindBlob(row.blob);
  if (!put.Run()) return Failure("write");
  return {};
}

Result<void> CacheIndex::DeleteAll() {
  S3OVERLAY_RETURN_IF_ERROR(Begin());
  S3OVERLAY_RETURN_IF_ERROR(Execute("DELETE FROM objects; DELETE FROM extents"));
  S3OVERLAY_RETURN_IF_ERROR(Commit());
  return Execute("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> CacheIndex::Commit() {
  if (in_transaction_) S3OVERLAY_RETURN_IF_ERROR(Execute("COMMIT"));
  in_transaction_ = false;
  return {};
}

Result<void> CacheIndex::CheckpointIfLarge() {
  if (AllocatedBytes(path_ + "-wal") < wal_limit_) return {};
  return Execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> CacheIndex::FinishCleanly() {
  S3OVERLAY_RETURN_IF_ERROR(Commit());
  return Execute(
      "PRAGMA incremental_vacuum; INSERT OR REPLACE INTO meta VALUES ('clean', 1); PRAGMA wal_checkpoint(TRUNCATE)");
}

bool CacheIndex::IsAlive() const {
  struct stat attributes{};
  return ::stat(path_.c_str(), &attributes) == 0 && attributes.st_ino == inode_;
}

Result<void> CacheIndex::Begin() {
  if (in_transaction_) return {};
  S3OVERLAY_RETURN_IF_ERROR(Execute("BEGIN"));
  in_transaction_ = true;
  return {};
}

Result<void> CacheIndex::Execute(const char* sql) {
  if (::sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Failure("write");
  return {};
}

Result<int64_t> CacheIndex::QueryNumber(const char* sql) {
  SqliteStatement query(database_, sql);
  if (!query.Step()) return Failure("read");
  return query.Number(0);
}

Error CacheIndex::Failure(const char* what) {
  const int code = ::sqlite3_errcode(database_);
  const ErrorCode kind = IsDamage(code) ? ErrorCode::kBadResponse : ErrorCode::kSystem;
  const Error error{.code = kind,
                    .message = fmt::format("{} cache index {}: {}", what, path_, ::sqlite3_errmsg(database_)),
                    .sys_errno = kind == ErrorCode::kSystem ? EIO : 0};
  if (::sqlite3_get_autocommit(database_) == 0) ::sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  in_transaction_ = false;
  return error;
}

}  // namespace s3overlay
