// SPDX-License-Identifier: Apache-2.0
//
// The credential chain: the sources in their order, the first that has any wins whole. A later source (profile files,
// credential_process, web identity, metadata addresses) is one file and one line in MakeSources().
#pragma once

#include <map>
#include <memory>
#include <string>

#include "s3overlay/credentials.h"

namespace s3overlay {

struct CredentialOptions {
  std::map<std::string, std::string> environment;  // Of the process and of --env-file, already merged.
  bool anonymous = false;                          // --no-sign-request: never sign, look nowhere.
};

// Get answers from memory and never waits. It fails with kCredentials, and a message that names variables and never
// their values.
std::unique_ptr<CredentialProvider> MakeCredentialChain(CredentialOptions options);

}  // namespace s3overlay
