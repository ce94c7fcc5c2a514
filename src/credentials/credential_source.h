// SPDX-License-Identifier: Apache-2.0
//
// CredentialSource: one place where credentials may be found.
#pragma once

#include <optional>
#include <string>

#include "s3overlay/call_context.h"
#include "s3overlay/credentials.h"
#include "s3overlay/result.h"

namespace s3overlay {

// Thread-safe. A source that asks somebody keeps its own memory of the answer, and renews it before it expires.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;

  // Nothing: this source is not in use, the next one is asked. An error ends the search: a source that is in use and
  // broken must not be papered over with somebody else's credentials.
  virtual Result<std::optional<Credentials>> Find(const CallContext& context) = 0;

  // These were refused by the store: do not answer them from memory again.
  virtual void Refused(const Credentials& credentials) = 0;

  // For "tried: ...".
  virtual std::string Describe() const = 0;
};

}  // namespace s3overlay
