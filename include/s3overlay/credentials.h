// SPDX-License-Identifier: Apache-2.0
//
// Credentials, and where they come from.
#pragma once

#include <optional>
#include <string>

#include "s3overlay/call_context.h"
#include "s3overlay/clock.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Printing them shows the family and the last four characters of the access key; secret and token never leave.
struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;           // Empty where there is none.
  std::optional<WallTime> expires_at;  // Nothing: they do not expire.
  std::string origin;                  // "OVH_S3_* in the environment"; for messages.

  std::string Redacted() const;
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// Thread-safe.
class CredentialProvider {
 public:
  virtual ~CredentialProvider() = default;

  // The credentials to sign with now; nothing means: do not sign. kCredentials when none can be found, with a message
  // that says where was looked.
  virtual Result<std::optional<Credentials>> Get(const CallContext& context) = 0;

  // The store refused these: the next Get looks again instead of answering from memory.
  virtual void Refused(const Credentials& credentials) = 0;
};

}  // namespace s3overlay
