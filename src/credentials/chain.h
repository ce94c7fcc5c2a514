// SPDX-License-Identifier: Apache-2.0
//
// The credential chain: the sources in their order, the first that has any wins whole. A later source (profile files,
// credential_process, web identity, metadata addresses) is one file and one line in MakeSources().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "s3overlay/credentials.h"

namespace s3overlay {

struct CredentialOptions {
  std::map<std::string, std::string> environment;  // Of the process and of --env-file, already merged.
  bool anonymous = false;                          // --no-sign-request: never sign, look nowhere.
  // The environment as it is now, asked when the store has refused what was found in it: an --env-file may have been
  // written anew. Nothing: it cannot be read, and the old one holds. May be empty.
  std::function<std::optional<std::map<std::string, std::string>>()> reload{};
};

// Get answers from memory and never waits; Refused may read a small file, once a second at most. It fails with
// kCredentials, and a message that names variables and never their values.
std::unique_ptr<CredentialProvider> MakeCredentialChain(CredentialOptions options);

}  // namespace s3overlay
