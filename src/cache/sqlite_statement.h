// SPDX-License-Identifier: Apache-2.0
//
// SqliteStatement: one prepared statement; parameters are bound in order. An error sticks: whoever runs the statement
// asks once, at the end. Source: https://www.sqlite.org/c3ref/stmt.html
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace s3overlay {

// Used by one thread at a time, like the database it belongs to, which outlives it.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, const char* sql) {
    code_ = ::sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  ~SqliteStatement() { ::sqlite3_finalize(statement_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteStatement& Bind(int64_t value) {
    if (code_ == SQLITE_OK) code_ = ::sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  SqliteStatement& Bind(uint64_t value) { return Bind(static_cast<int64_t>(value)); }
  SqliteStatement& Bind(bool value) { return Bind(int64_t{value}); }
  SqliteStatement& Bind(std::string_view text) {
    const char* data = text.empty() ? "" : text.data();
    const int size = static_cast<int>(text.size());
    if (code_ == SQLITE_OK) code_ = ::sqlite3_bind_text(statement_, ++bound_, data, size, SQLITE_TRANSIENT);
    return *this;
  }
  SqliteStatement& BindBlob(std::span<const std::byte> blob) {
    const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
    const int size = static_cast<int>(blob.size());
    if (code_ == SQLITE_OK) code_ = ::sqlite3_bind_blob(statement_, ++bound_, data, size, SQLITE_TRANSIENT);
    return *this;
  }
  // Names may hold any bytes: as blobs they compare byte by byte.
  SqliteStatement& BindBytes(std::string_view bytes) { return BindBlob(std::as_bytes(std::span(bytes))); }

  // True while there is a row.
  bool Step() {
    if (code_ == SQLITE_OK || code_ == SQLITE_ROW) code_ = ::sqlite3_step(statement_);
    return code_ == SQLITE_ROW;
  }
  // Runs to the end; false when anything failed since the statement was made.
  bool Run() {
    while (Step()) {
    }
    return code_ == SQLITE_DONE;
  }
  bool failed() const { return code_ != SQLITE_OK && code_ != SQLITE_ROW && code_ != SQLITE_DONE; }
  // Ready to be bound and run again.
  void Reset() {
    ::sqlite3_reset(statement_);
    if (code_ == SQLITE_DONE || code_ == SQLITE_ROW) code_ = SQLITE_OK;
    bound_ = 0;
  }

  bool HasValue(int column) const { return ::sqlite3_column_type(statement_, column) != SQLITE_NULL; }
  int64_t Number(int column) const { return ::sqlite3_column_int64(statement_, column); }
  uint64_t Unsigned(int column) const { return static_cast<uint64_t>(Number(column)); }
  std::span<const std::byte> Blob(int column) const {
    const auto* data = static_cast<const std::byte*>(::sqlite3_column_blob(statement_, column));
    return {data, data == nullptr ? 0 : static_cast<size_t>(::sqlite3_column_bytes(statement_, column))};
  }
  // Of a text or a blob.
  std::string Text(int column) const {
    const std::span<const std::byte> bytes = Blob(column);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
  int bound_ = 0;
};

}  // namespace s3overlay
