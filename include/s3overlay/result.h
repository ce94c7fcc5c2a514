// SPDX-License-Identifier: Apache-2.0
//
// How anything fails in this house: Error, and Result<T>, which holds a T or an Error.
//
// "Not found" is an answer here and not an accident, so failures travel as values; exceptions mean a bug or no memory.
// Codes are named by what the caller does next. Where each one is made: HTTP and XML become an Error in s3/wire_format,
// an errno in SystemError(). Where they end: fuse/errno_map alone turns a code into an errno.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace s3overlay {

enum class ErrorCode {
  kNotFound,         // Whoever was asked answered, and said no. Ask the next layer; ENOENT when there is none.
  kNotADirectory,    // A component of the path is no directory.
  kIsADirectory,     // A file was asked for, and it is a directory.
  kUnavailable,      // No usable answer (transport, 5xx past the retries). An outage: a later layer may stand in.
  kBadResponse,      // The answer is not what was asked for. Treated as an outage; its bytes are never used.
  kTimedOut,         // The deadline passed first. An outage.
  kThrottled,        // Told to slow down until the deadline passed. No outage: nothing stands in.
  kDenied,           // This one thing may not be read. Skipped like an outage; EACCES where nothing stands in.
  kCredentials,      // Credentials missing, refused or expired: a fault of the mount; per path as kDenied.
  kMisconfigured,    // Bucket gone, wrong region, untrusted certificate: a fault of the mount; per path as kDenied.
  kVersionGone,      // The pinned version is no longer in the store. ESTALE.
  kArchived,         // The object has to be restored before it can be read. EACCES.
  kWouldBlock,       // Cannot be answered at once and the caller must not wait: ask again in the lane Error::lane.
  kCancelled,        // Given up because the process is stopping.
  kInvalidArgument,  // The request itself is wrong: usage or configuration.
  kUnsupported,      // Understood, and not offered.
  kSystem,           // A system call failed with Error::sys_errno.
};

// The code's name in lower case ("not found"), for logs and messages.
std::string_view ErrorCodeName(ErrorCode code);

// One failure. `message` is written for the user, says what to do where that is known, and never holds a secret.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kSystem;
  std::string message;
  int sys_errno = 0;  // With kSystem only.
  int lane = 0;       // With kWouldBlock only: the lane (see fuse/lanes.h) in which the call may wait.
};

// True where the failure says nothing about the thing asked for, so that a later layer may stand in.
bool IsOutage(ErrorCode code);

// kSystem with `sys_errno`; ENOENT becomes kNotFound, ENOTDIR kNotADirectory and EISDIR kIsADirectory. The only place
// where an errno becomes an Error. `what` says what was tried ("open /x/y").
Error SystemError(int sys_errno, std::string_view what);

// A value or an Error. Spelled like std::expected, which the compilers in use do not have yet.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: converts on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: converts on purpose
  template <typename U>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT: converts on purpose

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Asking the wrong side is a bug and ends the process.
  T& value() & { return *Checked(std::get_if<0>(&state_)); }
  const T& value() const& { return *Checked(std::get_if<0>(&state_)); }
  T&& value() && { return std::move(*Checked(std::get_if<0>(&state_))); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return *Checked(std::get_if<1>(&state_)); }
  Error& error() { return *Checked(std::get_if<1>(&state_)); }

 private:
  template <typename P>
  static P* Checked(P* side) {
    if (side == nullptr) std::abort();
    return side;
  }

  std::variant<T, Error> state_;
};

// Success without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: converts on purpose

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    if (has_value()) std::abort();
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<std::monostate, Error> state_;
};

// Returns the error of `expression` from the enclosing function, if it has one.
#define S3OVERLAY_RETURN_IF_ERROR(expression)                      \
  do {                                                             \
    if (auto s3overlay_result = (expression); !s3overlay_result) { \
      return std::move(s3overlay_result).error();                  \
    }                                                              \
  } while (false)

}  // namespace s3overlay
